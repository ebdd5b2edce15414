// Dynamoose, unmodified, at the server whose address is the first argument; the second names the part to run. It ends with 0 if
// all that is asserted holds.

import assert from "node:assert/strict";
import dynamoose from "dynamoose";

const [url, wanted] = process.argv.slice(2);
const client = new dynamoose.aws.ddb.DynamoDB({ endpoint: url, region: "us-east-1", maxAttempts: 3 });
dynamoose.aws.ddb.set(client);

const track = new dynamoose.Schema({
  artist: { type: String, hashKey: true },
  number: { type: Number, rangeKey: true },
  title: String,
  plays: { type: Number, default: 0 },
  live: Boolean,
  cover: Buffer,
  tags: { type: Set, schema: [String] },
  marks: { type: Set, schema: [Number] },
  notes: { type: Array, schema: [String] },
  label: { type: Object, schema: { street: String, number: Number } },
  recorded: Date,
}, { timestamps: { createdAt: "created" } });

const draft = new dynamoose.Schema({ name: String, text: String });

// Models whose tables are made, and waited for, by the library.
async function models(create = true) {
  const options = { create, waitForActive: create && { enabled: true, check: { timeout: 20000, frequency: 50 } }, throughput: "ON_DEMAND" };
  const [Track, Draft] = [dynamoose.model("Tracks", track), dynamoose.model("Drafts", draft)];
  const table = new dynamoose.Table("dynamoose-tracks", [Track], { ...options, initialize: false });
  const drafts = new dynamoose.Table("dynamoose-drafts", [Draft], { ...options, initialize: false });
  await table.initialize();
  await drafts.initialize();
  return [Track, Draft];
}

const numbers = (found) => Array.from(found, (one) => one.number);
const range = (first, last) => Array.from({ length: last - first + 1 }, (_, i) => first + i);
const failed = { name: "ConditionalCheckFailedException", message: "The conditional request failed" };

const parts = {
  async values() {
    const [Track] = await models();
    const before = Date.now();
    await Track.create({ artist: "é", number: 1.5, title: "", plays: 9007199254740991, live: false, cover: Buffer.from([0, 255]), tags: new Set(["b", "a"]),
      marks: new Set([1, 2.5]), notes: ["x", ""], label: { street: "Main", number: 7 }, recorded: new Date(Date.UTC(2026, 10, 30)) }, { overwrite: true });
    const { created, ...read } = { ...(await Track.get({ artist: "é", number: 1.5 }, { consistent: true })) };
    assert(created >= before && created <= Date.now());
    assert.deepEqual({ ...read, cover: Buffer.from(read.cover) }, { artist: "é", number: 1.5, title: "", plays: 9007199254740991, live: false,
      cover: Buffer.from([0, 255]), tags: new Set(["a", "b"]), marks: new Set([1, 2.5]), notes: ["x", ""], label: { street: "Main", number: 7 },
      recorded: new Date(Date.UTC(2026, 10, 30)) });
    const some = await Track.get({ artist: "é", number: 1.5 }, { attributes: ["title", "plays"] });
    assert.deepEqual({ ...some }, { title: "", plays: 9007199254740991 });
    assert.equal(await Track.get({ artist: "nobody", number: 1 }), undefined);
  },

  async pages() {
    const [Track] = await models();
    const left = await Track.batchPut(range(1, 25).map((number) => ({ artist: "Album", number, plays: number * 10, title: `title ${number}` })));
    assert.deepEqual(left.unprocessedItems, []);
    const first = await Track.query("artist").eq("Album").where("number").gt(3).limit(5).exec();
    assert.deepEqual(numbers(first), range(4, 8));
    assert.deepEqual({ ...first.lastKey }, { artist: "Album", number: 8 });
    assert.deepEqual(numbers(await Track.query("artist").eq("Album").startAt(first.lastKey).limit(3).exec()), [9, 10, 11]);
    assert.deepEqual(numbers(await Track.query("artist").eq("Album").sort("descending").limit(2).exec()), [25, 24]);
    const all = await Track.query("artist").eq("Album").limit(6).all().exec();
    assert.deepEqual([numbers(all), all.timesQueried], [range(1, 25), 5]);
    const some = await Track.query("artist").eq("Album").where("number").between(5, 20).where("plays").ge(150).exec();
    assert.deepEqual([numbers(some), some.count], [range(15, 20), 6]);
    assert.deepEqual((await Track.query("artist").eq("Album").count().exec()).count, 25);
    const scanned = await Track.scan("title").contains("title 2").all().limit(4).exec();
    assert.deepEqual(numbers(scanned), [2, ...range(20, 25)]);
    assert.deepEqual(numbers(await Track.scan("artist").eq("Album").parallel(3).exec()).sort((one, other) => one - other), range(1, 25));
    const read = await Track.batchGet([...range(1, 25), 99].map((number) => ({ artist: "Album", number })));
    assert.deepEqual(numbers(read).sort((one, other) => one - other), range(1, 25));
    await Track.batchDelete(range(1, 24).map((number) => ({ artist: "Album", number })));
    assert.deepEqual(numbers(await Track.query("artist").eq("Album").exec()), [25]);
  },

  async updates() {
    const [Track] = await models();
    await Track.create({ artist: "Updates", number: 1, notes: ["a"], title: "old" });
    const changed = await Track.update({ artist: "Updates", number: 1 }, { $ADD: { plays: 4, notes: ["b"] }, $SET: { live: true }, $REMOVE: ["title"] });
    assert.deepEqual([changed.plays, changed.notes, changed.live, changed.title], [4, ["a", "b"], true, undefined]);
    const condition = new dynamoose.Condition().where("plays").eq(5).or().where("title").exists();
    await assert.rejects(Track.update({ artist: "Updates", number: 1 }, { plays: 0 }, { condition }), failed);
    await assert.rejects(Track.create({ artist: "Updates", number: 1 }), failed); // it asserts that there is none
    await assert.rejects(Track.delete({ artist: "Updates", number: 1 }, { condition }), failed);
    assert.equal((await Track.get({ artist: "Updates", number: 1 })).plays, 4);
    await Track.delete({ artist: "Updates", number: 1 });
    assert.equal(await Track.get({ artist: "Updates", number: 1 }), undefined);
  },

  async refusals() {
    const Missing = dynamoose.model("Missing", draft);
    new dynamoose.Table("dynamoose-missing", [Missing], { create: false, waitForActive: false });
    await assert.rejects(Missing.get("x"), { name: "ResourceNotFoundException", message: "Requested resource not found" });
    const [Track] = await models();
    await assert.rejects(Track.create({ artist: "", number: 1 }), { name: "ValidationException", message: "One or more parameter values are not valid. " +
      "The AttributeValue for a key attribute cannot contain an empty string value. Key: artist" });
  },

  async transactions() {
    const [Track, Draft] = await models();
    await dynamoose.transaction([
      Track.transaction.create({ artist: "Transact", number: 1, plays: 1 }),
      Draft.transaction.create({ name: "transact", text: "t" }),
    ]);
    const refused = await dynamoose.transaction([
      Track.transaction.update({ artist: "Transact", number: 1 }, { $ADD: { plays: 1 } }),
      Draft.transaction.condition("transact", new dynamoose.Condition().where("text").eq("other")),
    ]).then(() => assert.fail("it was not cancelled"), (error) => error);
    assert.equal(refused.name, "TransactionCanceledException");
    assert.deepEqual(refused.CancellationReasons.map((reason) => reason.Code), ["None", "ConditionalCheckFailed"]);
    const [one, other] = await dynamoose.transaction([Track.transaction.get({ artist: "Transact", number: 1 }), Draft.transaction.get("transact")]);
    assert.deepEqual([one.plays, other.text], [1, "t"]);
  },

  // The first two answers do not arrive.
  async lost() {
    const [Track] = await models(false);
    await Track.create({ artist: "Lost", number: 1, title: "there" }, { overwrite: true });
    assert.equal((await Track.get({ artist: "Lost", number: 1 })).title, "there");
  },
};

await parts[wanted]();
