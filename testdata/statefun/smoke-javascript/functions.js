// The command interpreter of StateFun's smoke test, for the JavaScript SDK, with all commands: StateFun's own has no cancellations.
//
// A message is a list of commands, which are carried out in order: count one up, send further commands to another id of this
// function, now or after a while, call off what was to be sent, write a record, wait for something and go on, say how far the count is.
"use strict";

const http = require("http");
const { StateFun, messageBuilder, kafkaEgressMessage } = require("apache-flink-statefun");

const INTERPRETER = "statefun.smoke.e2e/command-interpreter-fn";
const SINK = "statefun.smoke.e2e/sink";

const SourceCommand = StateFun.jsonType("statefun.smoke.e2e/source-command");
const Commands = StateFun.jsonType("statefun.smoke.e2e/commands");
const VerificationResult = StateFun.jsonType("statefun.smoke.e2e/verification-result");

const statefun = new StateFun();

statefun.bind({
  typename: INTERPRETER,
  specs: [{ name: "state", type: StateFun.intType() }],
  async fn(context, message) {
    await run(context, message.as(message.is(SourceCommand) ? SourceCommand : Commands));
  },
});

async function run(context, commands) {
  for (const command of commands) {
    const [[what, details]] = Object.entries(command);
    await carryOut[what](context, details);
  }
}

const carryOut = {
  increment(context) {
    context.storage.state = (context.storage.state || 0) + 1;
  },
  send(context, details) {
    context.send(to(details));
  },
  sendAfter(context, details) {
    context.sendAfter(details.delay, to(details), details.token);
  },
  cancelSendAfter(context, details) {
    context.cancelDelayedMessage(details.token);
  },
  sendEgress(context, number) {
    context.send(kafkaEgressMessage({ typename: SINK, topic: "smoke-javascript-discards", key: context.self.id, value: String(number) }));
  },
  async asyncOperation(context, { failure, commands }) {
    try {
      await elsewhere(failure);
    } catch (error) {
      if (error.message !== "asked for") {
        throw error;
      }
    }
    await run(context, commands); // it goes on all the same
  },
  verify(context, expected) {
    const value = { id: context.self.id, expected, actual: context.storage.state || 0 };
    const topic = "smoke-javascript-verifications";
    context.send(kafkaEgressMessage({ typename: SINK, topic, key: context.self.id, value, valueType: VerificationResult }));
  },
};

async function elsewhere(failure) {
  await new Promise((resolve) => setTimeout(resolve, 1));
  if (failure) {
    throw new Error("asked for");
  }
}

function to({ target, commands }) {
  return messageBuilder({ typename: INTERPRETER, id: String(target), value: commands, valueType: Commands });
}

http.createServer(statefun.handler()).listen(Number(process.env.PORT || 8000));
