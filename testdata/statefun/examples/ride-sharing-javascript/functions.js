// A ride sharing service: passengers ask for rides, drivers go where passengers are.
//
// ride-sharing/passenger  asks for a ride, and is told what becomes of it.
// ride-sharing/ride       finds a driver for one ride, and sees it to its end.
// ride-sharing/geo-cell   knows which drivers are free in one part of the town.
// ride-sharing/driver     is in one cell, and has one passenger at most.
"use strict";

const http = require("http");
const { StateFun, messageBuilder, egressMessageBuilder, kafkaEgressMessage } = require("apache-flink-statefun");

const PASSENGER = "ride-sharing/passenger";
const RIDE = "ride-sharing/ride";
const CELL = "ride-sharing/geo-cell";
const DRIVER = "ride-sharing/driver";

// What comes from outside.
const RideRequest = StateFun.jsonType("ride-sharing/RideRequest"); // from, to
const DriverUpdate = StateFun.jsonType("ride-sharing/DriverUpdate"); // one of {cell}, {started: true}, {ended: true}

// What the functions say to each other: {what, ...}
const Event = StateFun.jsonType("ride-sharing/Event");
// What they remember.
const Memory = StateFun.jsonType("ride-sharing/Memory");

const EgressRecord = StateFun.jsonType("io.statefun.playground/EgressRecord");

// Where passengers and drivers hear of it: from the playground's egress, or from Kafka.
const toKafka = process.env.OUTPUT === "kafka";

const searchAgainAfter = 100; // milliseconds
const searchesMax = 1200;

const statefun = new StateFun();

statefun.bind({
  typename: PASSENGER,
  specs: [{ name: "rides", type: StateFun.intType() }],
  fn(context, message) {
    if (message.is(RideRequest)) {
      const { from, to } = message.as(RideRequest);
      const number = (context.storage.rides || 0) + 1;
      context.storage.rides = number;
      tell(context, RIDE, `${context.self.id}-${number}`, { what: "wanted", from, to });
      return;
    }
    const event = message.as(Event);
    emit(context, "to-passenger", `${context.self.id}: ${event.text}`);
  },
});

statefun.bind({
  typename: RIDE,
  specs: [{ name: "ride", type: Memory, expireAfterCall: 24 * 60 * 60 * 1000 }],
  fn(context, message) {
    const event = message.as(Event);
    const ride = context.storage.ride || { searches: 0 };
    switch (event.what) {
      case "wanted":
        Object.assign(ride, { passenger: context.caller.id, from: event.from, to: event.to });
        search(context, ride);
        break;
      case "search":
        search(context, ride);
        break;
      case "driver": // a cell has one, or none
        if (event.driver) {
          tell(context, DRIVER, event.driver, { what: "pick up", passenger: ride.passenger, from: ride.from, to: ride.to });
        } else {
          searchLater(context, ride);
        }
        break;
      case "accepted":
        ride.driver = context.caller.id;
        tellPassenger(context, ride, `${ride.driver} comes for you`);
        break;
      case "rejected": // somebody else was quicker
        searchLater(context, ride);
        break;
      case "started":
        tellPassenger(context, ride, `you are on the way from ${ride.from} to ${ride.to}`);
        break;
      case "ended":
        tellPassenger(context, ride, `you are in ${ride.to}`);
        tell(context, DRIVER, ride.driver, { what: "done" });
        context.storage.ride = null;
        return;
    }
    context.storage.ride = ride;
  },
});

function search(context, ride) {
  ride.searches++;
  tell(context, CELL, ride.from, { what: "find" });
}

function searchLater(context, ride) {
  if (ride.searches === searchesMax) {
    tellPassenger(context, ride, `there is no driver near ${ride.from}`);
    return;
  }
  if (ride.searches === 1) {
    tellPassenger(context, ride, `looking for a driver near ${ride.from}`);
  }
  const message = messageBuilder({ typename: RIDE, id: context.self.id, value: { what: "search" }, valueType: Event });
  context.sendAfter(searchAgainAfter, message);
}

function tellPassenger(context, ride, text) {
  tell(context, PASSENGER, ride.passenger, { what: "told", text });
}

statefun.bind({
  typename: CELL,
  specs: [{ name: "drivers", type: Memory }],
  fn(context, message) {
    const event = message.as(Event);
    const drivers = context.storage.drivers || [];
    const caller = context.caller.id;
    switch (event.what) {
      case "join":
        context.storage.drivers = [...drivers.filter((d) => d !== caller), caller];
        answer(context, { what: "listed" });
        break;
      case "leave":
        context.storage.drivers = drivers.filter((d) => d !== caller);
        break;
      case "find":
        answer(context, { what: "driver", driver: drivers[0] });
        break;
    }
  },
});

statefun.bind({
  typename: DRIVER,
  specs: [
    { name: "cell", type: StateFun.stringType() },
    { name: "ride", type: Memory },
  ],
  fn(context, message) {
    const me = context.self.id;
    if (message.is(DriverUpdate)) {
      update(context, message.as(DriverUpdate));
      return;
    }
    const event = message.as(Event);
    switch (event.what) {
      case "listed":
        emit(context, "to-driver", `${me}: you are free in ${context.storage.cell}`);
        break;
      case "pick up":
        if (context.storage.ride) {
          answer(context, { what: "rejected" });
          break;
        }
        context.storage.ride = { id: context.caller.id, to: event.to };
        tell(context, CELL, context.storage.cell, { what: "leave" });
        answer(context, { what: "accepted" });
        emit(context, "to-driver", `${me}: pick up ${event.passenger} in ${event.from}`);
        break;
      case "done":
        moveTo(context, context.storage.ride.to, true);
        break;
    }
  },
});

// update is what a driver says of himself.
function update(context, { cell, started, ended }) {
  const ride = context.storage.ride;
  if (cell) {
    moveTo(context, cell);
  } else if (started && ride) {
    tell(context, RIDE, ride.id, { what: "started" });
  } else if (ended && ride) {
    tell(context, RIDE, ride.id, { what: "ended" });
  }
}

function moveTo(context, cell, isFree) {
  const before = context.storage.cell;
  context.storage.cell = cell;
  if (isFree) {
    context.storage.ride = null;
  } else if (context.storage.ride) {
    return; // he is in no cell's list
  }
  if (before && before !== cell) {
    tell(context, CELL, before, { what: "leave" });
  }
  tell(context, CELL, cell, { what: "join" });
}

function tell(context, typename, id, value) {
  context.send(messageBuilder({ typename, id, value, valueType: Event }));
}

function answer(context, value) {
  tell(context, context.caller.typename, context.caller.id, value);
}

function emit(context, topic, text) {
  if (toKafka) {
    context.send(kafkaEgressMessage({ typename: "ride-sharing/out", topic, key: context.self.id, value: text }));
  } else {
    const value = { topic, payload: text };
    context.send(egressMessageBuilder({ typename: "io.statefun.playground/egress", value, valueType: EgressRecord }));
  }
}

http.createServer(statefun.handler()).listen(Number(process.env.PORT || 8000));
