// What a page does with the AWS SDK for JavaScript, bundled as for any site. Each case of `cases` runs in the page and throws when
// something is not as it must be; run.mjs calls them.

import {
  BatchGetItemCommand, BatchWriteItemCommand, ConditionalCheckFailedException, CreateTableCommand, DeleteTableCommand, DynamoDBClient,
  GetItemCommand, ListTablesCommand, PutItemCommand, ResourceNotFoundException, TransactGetItemsCommand, TransactWriteItemsCommand,
  TransactionCanceledException, UpdateItemCommand, paginateQuery, paginateScan, waitUntilTableExists, waitUntilTableNotExists,
} from "@aws-sdk/client-dynamodb";
import {
  DescribeStreamCommand, DynamoDBStreamsClient, GetRecordsCommand, GetShardIteratorCommand, ListStreamsCommand,
} from "@aws-sdk/client-dynamodb-streams";
import {
  DynamoDBDocumentClient, GetCommand, NumberValue, PutCommand, QueryCommand, TransactWriteCommand, UpdateCommand, paginateScan as paginateDocuments,
} from "@aws-sdk/lib-dynamodb";

const TableName = "pages";
const WAIT = { maxWaitTime: 30, minDelay: 1 };
let client;
let streams;
let documents;

export function connect(endpoint, accessKeyId, secretAccessKey) {
  const settings = { endpoint, region: "us-east-1", credentials: { accessKeyId, secretAccessKey } };
  client = new DynamoDBClient(settings);
  streams = new DynamoDBStreamsClient(settings);
  documents = DynamoDBDocumentClient.from(client, { marshallOptions: { removeUndefinedValues: true } });
}

function equal(got, wanted) {
  const [left, right] = [got, wanted].map((value) => JSON.stringify(value, sorted));
  if (left !== right) throw new Error(`got ${left}, wanted ${right}`);
}

// Objects by the order of their names, what JSON does not know as such.
function sorted(_, value) {
  if (value instanceof Uint8Array) return { bytes: [...value] };
  if (value instanceof Set) return { set: [...value] };
  if (typeof value === "bigint") return { bigint: String(value) };
  return value?.constructor === Object ? Object.fromEntries(Object.entries(value).sort()) : value;
}

async function caught(type, call) {
  const error = await call.then(() => null, (reason) => reason);
  if (!(error instanceof type)) throw new Error(`got ${error}, wanted ${type.name}`);
  return error;
}

const key = (pk, sk) => ({ pk: { S: pk }, sk: { N: String(sk) } });
const put = (Item) => client.send(new PutItemCommand({ TableName, Item }));
const get = async (Key) => (await client.send(new GetItemCommand({ TableName, Key, ConsistentRead: true }))).Item;
const sortKeys = (items) => items.map((one) => Number(one.sk.N));
const adding = (Key) => ({ Update: { TableName, Key, UpdateExpression: "ADD n :one", ExpressionAttributeValues: { ":one": { N: "1" } } } });
const inOrder = (count) => Array.from({ length: count }, (_, i) => i);

async function putMany(pk, count) {
  const writes = inOrder(count).map((sk) => ({ PutRequest: { Item: key(pk, sk) } }));
  equal((await client.send(new BatchWriteItemCommand({ RequestItems: { [TableName]: writes } }))).UnprocessedItems, {});
}

export const cases = {
  async "a table is created and waited for"() {
    const made = await client.send(new CreateTableCommand({
      TableName, BillingMode: "PAY_PER_REQUEST",
      KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }, { AttributeName: "sk", KeyType: "RANGE" }],
      AttributeDefinitions: [{ AttributeName: "pk", AttributeType: "S" }, { AttributeName: "sk", AttributeType: "N" }],
      StreamSpecification: { StreamEnabled: true, StreamViewType: "NEW_AND_OLD_IMAGES" },
    }));
    equal(made.TableDescription.TableStatus, "CREATING");
    equal((await waitUntilTableExists({ client, ...WAIT }, { TableName })).state, "SUCCESS");
    equal((await client.send(new ListTablesCommand({}))).TableNames, [TableName]);
  },

  async "every type is read back"() {
    const item = {
      ...key("é\u{1F30A}", 1), n: { N: "12345678901234567890123456789012345678" }, part: { N: "-0.12345678901234567890123456789012345678" },
      b: { B: new Uint8Array([0, 255, 10]) }, t: { BOOL: false }, z: { NULL: true }, ss: { SS: ["a", "b"] }, ns: { NS: ["1", "2"] },
      bs: { BS: [new Uint8Array([1]), new Uint8Array([2])] }, l: { L: [{ N: "1.5" }, { M: { deep: { L: [{ S: "" }] } } }] }, m: { M: {} },
    };
    await put(item);
    equal(await get(key("é\u{1F30A}", 1)), item);
  },

  async "a query and a scan are read by pages"() {
    await putMany("paged", 25);
    const query = { TableName, KeyConditionExpression: "pk = :p", ExpressionAttributeValues: { ":p": { S: "paged" } } };
    const pages = [];
    for await (const page of paginateQuery({ client, pageSize: 10 }, query)) pages.push(sortKeys(page.Items));
    equal(pages, [inOrder(10), inOrder(20).slice(10), inOrder(25).slice(20)]);
    const found = [];
    const scan = { TableName, FilterExpression: "pk = :p", ExpressionAttributeValues: query.ExpressionAttributeValues };
    for await (const page of paginateScan({ client, pageSize: 7 }, scan)) found.push(...sortKeys(page.Items));
    equal(found, inOrder(25));
  },

  async "a packed page of 1 MiB is read"() {
    const text = "x".repeat(100_000);
    for (const sk of inOrder(15)) await put({ ...key("large", sk), text: { S: text } });
    const counts = [];
    const query = { TableName, KeyConditionExpression: "pk = :p", ExpressionAttributeValues: { ":p": { S: "large" } } };
    for await (const page of paginateQuery({ client }, query)) counts.push(page.Items.filter((one) => one.text.S === text).length);
    equal([counts.length, counts[0] + counts[1]], [2, 15]);
  },

  async "a batch is read"() {
    await putMany("batch", 5);
    const Keys = inOrder(6).map((sk) => key("batch", sk));
    const answer = await client.send(new BatchGetItemCommand({ RequestItems: { [TableName]: { Keys, ConsistentRead: true } } }));
    equal([sortKeys(answer.Responses[TableName]).sort(), answer.UnprocessedKeys], [inOrder(5), {}]);
  },

  async "a transaction is written and read"() {
    await client.send(new TransactWriteItemsCommand({ TransactItems: [adding(key("both", 1)), { Put: { TableName, Item: key("both", 2) } }] }));
    const gets = [1, 2, 3].map((sk) => ({ Get: { TableName, Key: key("both", sk) } }));
    const { Responses } = await client.send(new TransactGetItemsCommand({ TransactItems: gets }));
    equal(Responses.map((one) => one.Item?.sk.N ?? null), ["1", "2", null]);
  },

  async "a condition that fails has a type of its own"() {
    await put(key("there", 1));
    const error = await caught(ConditionalCheckFailedException, client.send(new PutItemCommand({
      TableName, Item: key("there", 1), ConditionExpression: "attribute_not_exists(pk)", ReturnValuesOnConditionCheckFailure: "ALL_OLD",
    })));
    equal([error.name, error.message, error.$metadata.httpStatusCode], ["ConditionalCheckFailedException", "The conditional request failed", 400]);
    equal(error.Item, key("there", 1));
    equal(error.$metadata.requestId.length, 52);
  },

  async "a cancelled transaction gives its reasons"() {
    await put(key("there", 2));
    const check = { ConditionCheck: { TableName, Key: key("there", 2), ConditionExpression: "attribute_not_exists(pk)" } };
    const error = await caught(TransactionCanceledException,
      client.send(new TransactWriteItemsCommand({ TransactItems: [adding(key("none", 1)), check] })));
    equal(error.CancellationReasons.map((one) => one.Code), ["None", "ConditionalCheckFailed"]);
    equal(await get(key("none", 1)), undefined);
  },

  async "a table that is not there has a type of its own"() {
    const error = await caught(ResourceNotFoundException, client.send(new GetItemCommand({ TableName: "none", Key: key("a", 1) })));
    equal(error.message, "Requested resource not found");
  },

  async "a document is read back"() {
    const Item = {
      pk: "document", sk: 1, text: "é", none: null, yes: true, part: -1.5, large: 12345678901234567890n, bytes: new Uint8Array([0, 255]),
      texts: new Set(["a", "b"]), numbers: new Set([1, 2]), list: [1, [], { deep: [""] }], left: undefined,
    };
    await documents.send(new PutCommand({ TableName, Item }));
    const { left, ...kept } = Item;
    equal((await documents.send(new GetCommand({ TableName, Key: { pk: "document", sk: 1 } }))).Item, kept);
  },

  async "a document keeps a number of 38 digits"() {
    const value = "12345678901234567890.123456789012345678";
    await documents.send(new PutCommand({ TableName, Item: { pk: "document", sk: 2, exact: NumberValue.from(value) } }));
    const exact = DynamoDBDocumentClient.from(client, { unmarshallOptions: { wrapNumbers: true } });
    const read = (await exact.send(new GetCommand({ TableName, Key: { pk: "document", sk: 2 } }))).Item;
    equal([read.exact.toString(), read.sk.toString()], [value, "2"]);
  },

  async "documents are changed, queried and scanned"() {
    const of = (sk) => ({ pk: "documents", sk });
    await documents.send(new TransactWriteCommand({ TransactItems: inOrder(7).map((sk) => ({ Put: { TableName, Item: { ...of(sk), tags: ["a"] } } })) }));
    const changed = await documents.send(new UpdateCommand({
      TableName, Key: of(3), UpdateExpression: "SET tags = list_append(tags, :more), #by = :when", ConditionExpression: "size(tags) = :one",
      ExpressionAttributeNames: { "#by": "by" }, ExpressionAttributeValues: { ":more": [{ b: 1 }], ":when": 5, ":one": 1 }, ReturnValues: "ALL_NEW",
    }));
    equal(changed.Attributes, { ...of(3), tags: ["a", { b: 1 }], by: 5 });
    const values = { ":p": "documents", ":from": 2, ":to": 4 };
    const found = await documents.send(new QueryCommand({
      TableName, KeyConditionExpression: "pk = :p AND sk BETWEEN :from AND :to", ExpressionAttributeValues: values, ScanIndexForward: false,
    }));
    equal(found.Items.map((one) => one.sk), [4, 3, 2]);
    const scanned = [];
    const scan = { TableName, FilterExpression: "pk = :p", ExpressionAttributeValues: { ":p": "documents" } };
    for await (const page of paginateDocuments({ client: documents, pageSize: 3 }, scan)) scanned.push(...page.Items.map((one) => one.sk));
    equal(scanned, inOrder(7));
  },

  async "changes are read from the stream"() {
    await put(key("watched", 1));
    await client.send(new UpdateItemCommand(adding(key("watched", 1)).Update));
    const { StreamArn } = (await streams.send(new ListStreamsCommand({ TableName }))).Streams[0];
    const { Shards } = (await streams.send(new DescribeStreamCommand({ StreamArn }))).StreamDescription;
    const found = [];
    for (const { ShardId } of Shards) {
      let { ShardIterator } = await streams.send(new GetShardIteratorCommand({ StreamArn, ShardId, ShardIteratorType: "TRIM_HORIZON" }));
      for (let page; ShardIterator && page?.Records.length !== 0; ShardIterator = page.NextShardIterator) {
        page = await streams.send(new GetRecordsCommand({ ShardIterator }));
        found.push(...page.Records.filter((record) => record.dynamodb.Keys.pk.S === "watched"));
      }
    }
    equal(found.map((record) => record.eventName), ["INSERT", "MODIFY"]);
    equal(found[1].dynamodb.NewImage.n, { N: "1" });
  },

  async "a transaction whose answer was lost is retried and done once"() {
    const answer = await client.send(new TransactWriteItemsCommand({ TransactItems: [adding(key("lost", 1))] }));
    equal(answer.$metadata.attempts, 2);
    equal((await get(key("lost", 1))).n, { N: "1" });
  },

  async "a clock that is wrong is corrected by a retry"() {
    equal((await client.send(new ListTablesCommand({}))).$metadata.attempts, 2);
    equal((await client.send(new ListTablesCommand({}))).$metadata.attempts, 1);
  },

  async "a page that may not call learns nothing"() {
    const error = await caught(TypeError, client.send(new ListTablesCommand({})));
    equal(error.message, "Failed to fetch");
  },

  async "a table is deleted and waited for"() {
    await client.send(new DeleteTableCommand({ TableName }));
    equal((await waitUntilTableNotExists({ client, ...WAIT }, { TableName })).state, "SUCCESS");
  },
};
