// Greets people, and remembers how often each of them came.
//
// example/person counts the visits of one person; example/greeter takes its time for what it says.
"use strict";

const http = require("http");
const { StateFun, messageBuilder, egressMessageBuilder, kafkaEgressMessage } = require("apache-flink-statefun");

const GreetRequest = StateFun.jsonType("example/GreetRequest");
const EgressRecord = StateFun.jsonType("io.statefun.playground/EgressRecord");

// Where the greetings go: to the playground's egress, or to Kafka.
const toKafka = process.env.OUTPUT === "kafka";

const statefun = new StateFun();

statefun.bind({
  typename: "example/person",
  specs: [{ name: "visits", type: StateFun.intType() }],
  fn(context, message) {
    const request = message.as(GreetRequest);
    const visits = (context.storage.visits || 0) + 1;
    context.storage.visits = visits;
    request.visits = visits;
    context.send(messageBuilder({ typename: "example/greeter", id: request.name, value: request, valueType: GreetRequest }));
  },
});

statefun.bind({
  typename: "example/greeter",
  async fn(context, message) {
    const { name, visits } = message.as(GreetRequest);
    await new Promise((resolve) => setTimeout(resolve, 200)); // a greeting wants to be thought over
    emit(context, "welcomes", name, greeting(name, visits));
  },
});

function greeting(name, visits) {
  switch (visits) {
    case 1:
      return `Welcome, ${name}!`;
    case 2:
      return `Nice to see you again, ${name}!`;
    case 3:
      return `Third time lucky, ${name}!`;
    default:
      return `Hello for the ${visits}th time, ${name}!`;
  }
}

function emit(context, topic, key, text) {
  if (toKafka) {
    context.send(kafkaEgressMessage({ typename: "example/greets", topic, key, value: text }));
  } else {
    const value = { topic, payload: text };
    context.send(egressMessageBuilder({ typename: "io.statefun.playground/egress", value, valueType: EgressRecord }));
  }
}

http.createServer(statefun.handler()).listen(Number(process.env.PORT || 8000));
