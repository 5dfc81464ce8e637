// The application that ../README.md describes, on the official JavaScript SDK and Node's own HTTP server.
"use strict";
const http = require("http");
const { StateFun, messageBuilder, kafkaEgressMessage } = require("apache-flink-statefun");
const { StringValue } = require("google-protobuf/google/protobuf/wrappers_pb.js");

const prefix = process.env.PREFIX;
const expiration = Number(process.env.EXPIRATION);

// The SDK has no long and no double: they are what is written for the built-in types' names.
const longType = StateFun.customType("io.statefun.types/long", (value) => {
  if (value === 0n) return Buffer.alloc(0);
  const bytes = Buffer.alloc(9, 9);
  bytes.writeBigInt64LE(value, 1);
  return bytes;
}, (bytes) => bytes.length ? bytes.readBigInt64LE(1) : 0n);
const doubleType = StateFun.customType("io.statefun.types/double", (value) => {
  if (value === 0) return Buffer.alloc(0);
  const bytes = Buffer.alloc(9, 9);
  bytes.writeDoubleLE(value, 1);
  return bytes;
}, (bytes) => bytes.length ? bytes.readDoubleLE(1) : 0);
const commandType = StateFun.customType("apps.types/command", (text) => Buffer.from(text), (bytes) => bytes.toString());
const noteType = StateFun.jsonType("apps.types/note");
const nameType = StateFun.protoType("type.googleapis.com/google.protobuf.StringValue", StringValue);
const blobType = StateFun.customType("apps.types/blob", (bytes) => bytes, (bytes) => bytes);

function name(text) {
  const value = new StringValue();
  value.setValue(text);
  return value;
}

// Types of values: one to set, its zero, and how one becomes the next.
const kinds = {
  bool: { type: StateFun.booleanType(), sample: true, zero: false, bump: (v) => !v },
  int: { type: StateFun.intType(), sample: 7, zero: 0, bump: (v) => v + 1 },
  long: { type: longType, sample: 2n ** 40n + 1n, zero: 0n, bump: (v) => v + 1n },
  float: { type: StateFun.floatType(), sample: 1.5, zero: 0, bump: (v) => v + 0.5 },
  double: { type: doubleType, sample: 0.1, zero: 0, bump: (v) => v + 0.25 },
  string: { type: StateFun.stringType(), sample: "grüße 😀", zero: "", bump: (v) => v + "!" },
  note: { type: noteType, sample: { n: 1, text: "é" }, zero: { n: 0, text: "" }, bump: (v) => ({ ...v, n: v.n + 1 }) },
  name: { type: nameType, sample: name("p"), zero: name(""), bump: (v) => name(v.getValue() + "!") },
  blob: { type: blobType, sample: Buffer.from([0x00, 0xff]), zero: Buffer.alloc(0), bump: (v) => Buffer.concat([v, Buffer.from([1])]) },
};

const statefun = new StateFun();

function emit(context, value, { key, valueType, from } = {}) {
  context.send(kafkaEgressMessage({ typename: "apps.io/out", topic: `${prefix}out-${from || context.self.name}`, key, value, valueType }));
}

statefun.bind({
  typename: "apps.fns/values",
  specs: Object.entries(kinds).map(([name, kind]) => ({ name, type: kind.type })),
  fn(context, message) {
    const [verb, ...names] = message.as(commandType).split(" ");
    for (const [name, kind] of Object.entries(kinds)) {
      const value = context.storage[name];
      if (verb === "show") {
        const key = `${context.self.id} ${name}`;
        value == null ? emit(context, "unset", { key }) : emit(context, value, { key, valueType: kind.type });
      }
      if (!names.includes(name) && names[0] !== "all") continue;
      if (verb === "set") context.storage[name] = kind.sample;
      if (verb === "zero") context.storage[name] = kind.zero;
      if (verb === "bump") context.storage[name] = kind.bump(value == null ? kind.zero : value);
      if (verb === "delete") context.storage[name] = null;
    }
  },
});

statefun.bind({
  typename: "apps.fns/expiring",
  specs: [
    { name: "written", type: StateFun.stringType(), expireAfterWrite: expiration },
    { name: "called", type: StateFun.stringType(), expireAfterCall: expiration },
  ],
  fn(context, message) {
    const [verb, number] = message.as(commandType).split(" ");
    if (verb === "set") {
      context.storage.written = "x";
      context.storage.called = "x";
    }
    emit(context, `${number} written=${context.storage.written || "-"} called=${context.storage.called || "-"}`, { key: context.self.id });
  },
});

const nameOf = (address) => address ? `${address.typename}/${address.id}` : "nobody";

statefun.bind({
  typename: "apps.fns/asker",
  specs: [{ name: "answers", type: StateFun.intType() }],
  fn(context, message) {
    if (message.is(commandType)) {
      const [, name, to] = message.as(commandType).split(" ");
      const { type, sample } = kinds[name];
      context.send(messageBuilder({ typename: "apps.fns/answerer", id: to, value: sample, valueType: type }));
      emit(context, `asked for ${nameOf(context.caller)}`, { key: context.self.id });
      return;
    }
    context.storage.answers += 1; // null is 0
    for (const [name, { type }] of Object.entries(kinds)) {
      if (!message.is(type)) continue;
      emit(context, message.as(type), { key: `${context.self.id} ${context.storage.answers} ${nameOf(context.caller)} ${name}`, valueType: type });
    }
  },
});

statefun.bind({
  typename: "apps.fns/answerer",
  specs: [{ name: "asked", type: longType }],
  fn(context, message) {
    context.storage.asked = (context.storage.asked || 0n) + 1n;
    for (const { type } of Object.values(kinds)) {
      if (!message.is(type)) continue;
      context.send(messageBuilder({ typename: context.caller.typename, id: context.caller.id, value: message.as(type), valueType: type }));
    }
    emit(context, `${context.storage.asked} for ${nameOf(context.caller)}`, { key: context.self.id });
  },
});

statefun.bind({
  typename: "apps.fns/alarm",
  fn(context, message) {
    if (message.isString()) {
      emit(context, `${message.asString()} from ${nameOf(context.caller)}`, { key: context.self.id });
      return;
    }
    const [verb, ...words] = message.as(commandType).split(" ");
    const sendAfter = (ms, id, value, token) =>
      context.sendAfter(Number(ms), messageBuilder({ typename: "apps.fns/alarm", id, value }), token);
    if (verb === "after") sendAfter(words[0], context.self.id, words[1]);
    if (verb === "to") sendAfter(words[0], words[1], words[2]);
    if (verb === "token") sendAfter(words[0], context.self.id, words[2], words[1]);
    if (verb === "cancel") context.cancelDelayedMessage(words[0]);
    if (verb === "replace") {
      context.cancelDelayedMessage(words[1]);
      sendAfter(words[0], context.self.id, words[2], words[1]);
    }
  },
});

statefun.bind({
  typename: "apps.fns/writer",
  fn(context) {
    const key = context.self.id;
    emit(context, "text", { key });
    emit(context, "keyless");
    emit(context, Buffer.from([0x00, 0x01, 0xfe, 0xff]), { key });
    emit(context, 258, { key });
    for (const { type, sample } of Object.values(kinds)) emit(context, sample, { key, valueType: type });
    emit(context, "elsewhere", { key, from: "counter" });
  },
});

statefun.bind({
  typename: "apps.fns/counter",
  specs: [{ name: "count", type: longType }],
  fn(context, message) {
    const count = context.storage.count || 0n, number = message.asInt();
    context.storage.count = count + 1n;
    emit(context, BigInt(number) === count + 1n ? String(number) : `${number} after ${count}`, { key: context.self.id });
  },
});

const attempts = {};

statefun.bind({
  typename: "apps.fns/flaky",
  fn(context, message) {
    const [verb, ...words] = message.as(commandType).split(" ");
    if (verb === "fail") {
      attempts[words[1]] = (attempts[words[1]] || 0) + 1;
      if (attempts[words[1]] <= Number(words[0])) throw new Error(`attempt ${attempts[words[1]]} of ${words[1]}`);
    }
    emit(context, words[words.length - 1], { key: context.self.id });
  },
});

statefun.bind({
  typename: "apps.fns/stray",
  fn(context) {
    context.send(messageBuilder({ typename: "apps.lost/nobody", id: context.self.id, value: "hello" }));
    emit(context, "sent", { key: context.self.id });
  },
});

statefun.bind({
  typename: "apps.fns/patient",
  specs: [{ name: "last", type: StateFun.stringType() }],
  async fn(context, message) {
    const word = message.as(commandType);
    await new Promise((resolve) => setTimeout(resolve, 20));
    emit(context, `${context.storage.last || "-"} ${word}`, { key: context.self.id });
    context.storage.last = word;
  },
});

http.createServer(statefun.handler()).listen(Number(process.env.PORT), "127.0.0.1", () => console.log("ready"));
