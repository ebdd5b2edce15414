// A request presigned by the JavaScript SDK's signer and sent by fetch, which knows nothing of it.
// Usage: node presign.mjs URL; credentials and region come from the environment.
import { createHash, createHmac } from "node:crypto";
import { SignatureV4 } from "@smithy/signature-v4";

class Sha256 {
  constructor(key) { this.hash = key ? createHmac("sha256", key) : createHash("sha256"); }
  update(data) { this.hash.update(data); }
  async digest() { return new Uint8Array(this.hash.digest()); }
}

const endpoint = new URL(process.argv[2]);
const headers = { "content-type": "application/x-amz-json-1.0", "x-amz-target": "DynamoDB_20120810.ListTables" };
const body = "{\"Limit\":1}";
const signer = new SignatureV4({
  service: "dynamodb", region: process.env.AWS_REGION, sha256: Sha256,
  credentials: { accessKeyId: process.env.AWS_ACCESS_KEY_ID, secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY },
});
const signed = await signer.presign({
  method: "POST", protocol: "http:", hostname: endpoint.hostname, port: Number(endpoint.port), path: "/", query: {},
  headers: { host: endpoint.host, ...headers }, body,
}, { expiresIn: 300, unhoistableHeaders: new Set(["x-amz-target"]) });
const url = `${endpoint.origin}/?${new URLSearchParams(signed.query)}`;
const answer = await fetch(url, { method: "POST", headers, body });
const changed = await (await fetch(url, { method: "POST", headers, body: "{}" })).json();
console.log(JSON.stringify({ url, status: answer.status, answer: await answer.json(), changed: changed.__type }));
