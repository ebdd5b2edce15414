// One call of each operation by the JavaScript SDK, unmodified: what it read is printed as JSON for the test to judge.
// Usage: node clients.mjs URL TABLE_PREFIX; credentials and region come from the environment, as for anyone.
import {
  CreateTableCommand, DeleteItemCommand, DeleteTableCommand, DescribeTableCommand, DynamoDBClient, GetItemCommand,
  ListTablesCommand, PutItemCommand, QueryCommand, TransactWriteItemsCommand, UpdateItemCommand, UpdateTableCommand,
  paginateQuery, paginateScan, waitUntilTableExists, waitUntilTableNotExists,
} from "@aws-sdk/client-dynamodb";
import {
  DescribeStreamCommand, DynamoDBStreamsClient, GetRecordsCommand, GetShardIteratorCommand, ListStreamsCommand,
} from "@aws-sdk/client-dynamodb-streams";

const [endpoint, prefix] = process.argv.slice(2);
const client = new DynamoDBClient({ endpoint, maxAttempts: 1 });
const streams = new DynamoDBStreamsClient({ endpoint, maxAttempts: 1 });
const TableName = `${prefix}.js`;
const seen = {};
const key = { pk: { S: "é" }, sk: { N: "1" } };
const item = {
  ...key, b: { B: new Uint8Array([0, 255]) }, t: { BOOL: true }, z: { NULL: true }, l: { L: [{ N: "1.5" }] },
  m: { M: { x: { S: "" } } }, ss: { SS: ["a", "b"] }, ns: { NS: ["1", "2"] }, bs: { BS: [new Uint8Array([1])] },
  n: { N: "1E+125" },
};

const made = await client.send(new CreateTableCommand({
  TableName, BillingMode: "PAY_PER_REQUEST",
  KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }, { AttributeName: "sk", KeyType: "RANGE" }],
  AttributeDefinitions: [{ AttributeName: "pk", AttributeType: "S" }, { AttributeName: "sk", AttributeType: "N" }],
  StreamSpecification: { StreamEnabled: true, StreamViewType: "NEW_AND_OLD_IMAGES" },
}));
seen.created = made.TableDescription.TableStatus;
seen.waited = (await waitUntilTableExists({ client, maxWaitTime: 30, minDelay: 1 }, { TableName })).state;
const table = (await client.send(new DescribeTableCommand({ TableName }))).Table;
seen.described = [table.TableStatus, table.CreationDateTime instanceof Date];
const last = TableName.slice(0, -1);
seen.listed = (await client.send(new ListTablesCommand({ ExclusiveStartTableName: last, Limit: 1 }))).TableNames;

const put = await client.send(new PutItemCommand({ TableName, Item: item, ReturnConsumedCapacity: "TOTAL" }));
seen.capacity = put.ConsumedCapacity.CapacityUnits;
const got = (await client.send(new GetItemCommand({ TableName, Key: key, ConsistentRead: true }))).Item;
seen.item = Object.fromEntries(Object.entries(got).sort().map(([name, value]) => {
  const [type, body] = Object.entries(value)[0];
  const plain = (part) => part instanceof Uint8Array ? [...part] : part;
  return [name, { [type]: Array.isArray(body) ? body.map(plain) : plain(body) }];
}));
const updated = await client.send(new UpdateItemCommand({
  TableName, Key: key, UpdateExpression: "SET c = if_not_exists(c, :zero) + :one", ReturnValues: "UPDATED_NEW",
  ExpressionAttributeValues: { ":zero": { N: "0" }, ":one": { N: "1" } },
}));
seen.updated = updated.Attributes;

try {
  await client.send(new PutItemCommand({
    TableName, Item: key, ConditionExpression: "attribute_not_exists(pk)", ReturnValuesOnConditionCheckFailure: "ALL_OLD",
  }));
} catch (error) {
  seen.condition = [error.name, error.message, error.Item.c, error.$metadata.httpStatusCode];
}
await client.send(new TransactWriteItemsCommand({
  TransactItems: [2, 3, 4].map((i) => ({ Put: { TableName, Item: { ...key, sk: { N: String(i) } } } })),
}));
try {
  await client.send(new TransactWriteItemsCommand({ TransactItems: [{ ConditionCheck: {
    TableName, Key: { ...key, sk: { N: "9" } }, ConditionExpression: "attribute_exists(pk)" } }] }));
} catch (error) {
  seen.cancelled = [error.name, error.CancellationReasons];
}
const conditions = { TableName, KeyConditionExpression: "pk = :p", ExpressionAttributeValues: { ":p": key.pk } };
seen.queried = (await client.send(new QueryCommand({ ...conditions, ScanIndexForward: false, Limit: 2 }))).Items.map((one) => one.sk.N);
seen.paged = [];
for await (const page of paginateQuery({ client, pageSize: 3 }, conditions)) {
  seen.paged.push(page.Items.map((one) => one.sk.N));
}
seen.scanned = [];
for (const Segment of [0, 1]) {
  const scan = { TableName, Segment, TotalSegments: 2, FilterExpression: "sk > :one", ExpressionAttributeValues: { ":one": { N: "1" } } };
  for await (const page of paginateScan({ client, pageSize: 1 }, scan)) {
    seen.scanned.push(...page.Items.map((one) => one.sk.N));
  }
}
const deleted = await client.send(new DeleteItemCommand({ TableName, Key: { ...key, sk: { N: "2" } }, ReturnValues: "ALL_OLD" }));
seen.deleted = deleted.Attributes.sk.N;

const StreamArn = (await streams.send(new ListStreamsCommand({ TableName }))).Streams[0].StreamArn;
const shard = (await streams.send(new DescribeStreamCommand({ StreamArn }))).StreamDescription.Shards[0];
const { ShardIterator } = await streams.send(new GetShardIteratorCommand({
  StreamArn, ShardId: shard.ShardId, ShardIteratorType: "TRIM_HORIZON",
}));
const records = (await streams.send(new GetRecordsCommand({ ShardIterator }))).Records;
seen.events = records.map((record) => record.eventName);
seen.image = records[1].dynamodb.NewImage.c;
seen.time = records[0].dynamodb.ApproximateCreationDateTime instanceof Date;

const off = { TableName, StreamSpecification: { StreamEnabled: false } };
seen.updating = (await client.send(new UpdateTableCommand(off))).TableDescription.TableStatus;
try {
  await client.send(new UpdateTableCommand(off));
} catch (error) {
  seen.off = [error.name, error.message];
}
const stream = (await streams.send(new DescribeStreamCommand({ StreamArn }))).StreamDescription;
seen.stream = [stream.StreamStatus, stream.Shards[0].SequenceNumberRange.EndingSequenceNumber !== undefined];
seen.deleting = (await client.send(new DeleteTableCommand({ TableName }))).TableDescription.TableStatus;
seen.gone = (await waitUntilTableNotExists({ client, maxWaitTime: 30, minDelay: 1 }, { TableName })).state;
try {
  await client.send(new GetItemCommand({ TableName, Key: key }));
} catch (error) {
  seen.missing = [error.name, error.message];
}
console.log(JSON.stringify(seen));
