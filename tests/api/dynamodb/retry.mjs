// One transaction by the JavaScript SDK, unmodified, which gives it a token and asks again when no answer comes.
// Usage: node retry.mjs URL TABLE; prints how often it was tried.
import { DynamoDBClient, TransactWriteItemsCommand } from "@aws-sdk/client-dynamodb";

const [endpoint, TableName] = process.argv.slice(2);
const client = new DynamoDBClient({ endpoint });
const done = await client.send(new TransactWriteItemsCommand({
  TransactItems: [{ Update: {
    TableName, Key: { pk: { S: "counted" } }, UpdateExpression: "ADD n :one", ExpressionAttributeValues: { ":one": { N: "1" } },
  } }],
}));
console.log(done.$metadata.attempts);
