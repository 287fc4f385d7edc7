// Reference: the rows of the table with arvo-core, arvo-event-handler and XState, on Node.
//
//     node reference.mjs FOLDER      the folder whose node_modules holds the packages
//
// Reads lines `ROW NUMBER`, calls the function of the row NUMBER times, and writes the microseconds
// of processor time of one call, or `not installed`.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

// Without a span the packages log to the console, several times a step: formatted, but not written here.
console.log = () => {};
const answer = (value) => process.stdout.write(`${value}\n`);

const require = createRequire(`${process.argv[2]}/package.json`);

function load(name) {
  try {
    return require(name);
  } catch {
    return null;
  }
}

const core = load('arvo-core');
const handlers = load('arvo-event-handler');
const xstate = load('xstate');
const rows = {};

if (core && handlers) {
  const { z } = require('zod');
  const emits = (type, fields) => ({ [type]: z.object(fields) });
  const order = { order_id: z.string(), amount: z.number() };
  const charge = core.createArvoContract({
    uri: '#/contracts/payment/charge',
    type: 'com.payment.charge',
    versions: {
      '1.0.0': {
        accepts: z.object(order),
        emits: emits('evt.payment.charged', { receipt: z.string() }),
      },
    },
  });
  const ship = core.createArvoContract({
    uri: '#/contracts/shipping/book',
    type: 'com.shipping.book',
    versions: {
      '1.0.0': {
        accepts: z.object({ order_id: z.string() }),
        emits: emits('evt.shipping.booked', { tracking: z.string() }),
      },
    },
  });
  const workflow = (name, complete) =>
    core.createArvoOrchestratorContract({
      uri: `#/orchestrators/${name}`,
      name,
      versions: { '1.0.0': { init: z.object(order), complete: z.object(complete) } },
    });
  const fulfil = workflow('order.fulfil', { receipt: z.string() });
  const chart = workflow('order.chart', { order_id: z.string() });
  const placed = { order_id: 'order-42', amount: 12.5 };
  const subject = core.ArvoOrchestrationSubject.new({
    orchestator: 'arvo.orc.order',
    version: '1.0.0',
    initiator: 'com.shop.web',
  });
  const requests = core.createArvoEventFactory(charge.version('1.0.0'));
  const request = () => requests.accepts({ source: 'com.shop.web', subject, data: placed });
  const start = (contract) =>
    core.createArvoOrchestratorEventFactory(contract.version('1.0.0')).init({
      source: 'com.shop.web',
      data: { parentSubject$$: null, ...placed },
    });
  const parse = (event) => core.createArvoEvent(JSON.parse(event.toString()));

  const service = (contract, type, data) =>
    handlers.createArvoEventHandler({
      contract,
      executionunits: 0,
      handler: { '1.0.0': async () => ({ type, data }) },
    });
  const pay = service(charge, 'evt.payment.charged', { receipt: 'r' });
  const book = service(ship, 'evt.shipping.booked', { tracking: 't' });

  const memory = new handlers.SimpleMachineMemory();
  const resumable = handlers.createArvoResumable({
    contracts: { self: fulfil, services: { charge: charge.version('1.0.0') } },
    executionunits: 0,
    memory,
    handler: {
      '1.0.0': async ({ input, service }) => {
        if (input) {
          const { order_id, amount } = input.data;
          return {
            context: { order_id },
            services: [{ type: 'com.payment.charge', data: { order_id, amount } }],
          };
        }
        return { output: { receipt: service.data.receipt } };
      },
    },
  });

  const orchestrator = (states) =>
    handlers.createArvoOrchestrator({
      memory,
      executionunits: 0,
      machines: [
        handlers
          .setupArvoMachine({
            contracts: {
              self: chart.version('1.0.0'),
              services: { charge: charge.version('1.0.0'), ship: ship.version('1.0.0') },
            },
          })
          .createMachine({
            id: 'order',
            context: ({ input }) => ({
              order_id: input.data.order_id,
              amount: input.data.amount,
            }),
            output: ({ context }) => ({ order_id: context.order_id }),
            ...states,
          }),
      ],
    });
  const asking = (type, fields) =>
    xstate.emit(({ context }) => ({
      type,
      data: Object.fromEntries(fields.map((name) => [name, context[name]])),
    }));
  const charging = asking('com.payment.charge', ['order_id', 'amount']);
  const booking = asking('com.shipping.book', ['order_id']);
  const region = (entry, answer) => ({
    initial: 'asking',
    states: { asking: { entry, on: { [answer]: 'done' } }, done: { type: 'final' } },
  });
  const sequential = orchestrator({
    initial: 'charging',
    states: {
      charging: { entry: charging, on: { 'evt.payment.charged': 'done' } },
      done: { type: 'final' },
    },
  });
  const parallel = orchestrator({
    initial: 'both',
    states: {
      both: {
        type: 'parallel',
        onDone: 'done',
        states: {
          paid: region(charging, 'evt.payment.charged'),
          sent: region(booking, 'evt.shipping.booked'),
        },
      },
      done: { type: 'final' },
    },
  });

  // The events of a workflow are made once, with the real services; each run starts without a state.
  const turns = async (handler, contract, services) => {
    const first = start(contract);
    const events = [first];
    for (const [position, event] of (await handler.execute(first)).events.entries()) {
      events.push((await services[position].execute(event)).events[0]);
    }
    const run = async () => {
      memory.memoryMap.clear();
      let last;
      for (const event of events) {
        last = await handler.execute(event);
      }
      return last.events;
    };
    const [done] = await run();
    if (!done.type.endsWith('.done')) {
      throw new Error(`the workflow ended with ${done.toString()}`);
    }
    return run;
  };

  rows.event = () => parse(request());
  rows.subject = () =>
    core.ArvoOrchestrationSubject.parse(
      core.ArvoOrchestrationSubject.new({
        orchestator: 'arvo.orc.order',
        version: '1.0.0',
        initiator: 'com.shop.web',
      }),
    );
  const parsed = parse(request());
  rows.handler = () => pay.execute(parsed);
  rows.resumable = await turns(resumable, fulfil, [pay]);
  rows.sequential = await turns(sequential, chart, [pay]);
  rows.parallel = await turns(parallel, chart, [pay, book]);

  const { broker } = handlers.createSimpleEventBroker([resumable, pay]);
  let answers = 0;
  broker.subscribe('com.shop.web', async () => {
    answers += 1;
  });
  rows.broker = async () => {
    const before = answers;
    memory.memoryMap.clear();
    await broker.publish(start(fulfil));
    if (answers !== before + 1) {
      throw new Error('a workflow got no answer');
    }
  };
}

if (xstate) {
  const send = (config) => {
    const actor = xstate.createActor(xstate.createMachine(config)).start();
    return () => actor.send({ type: 'GO' });
  };
  const branch = (target) => ({
    initial: 'y',
    states: { y: { initial: 'z', states: { z: {} } } },
    on: { GO: target },
  });
  const region = () => ({ initial: 'a', states: { a: branch('b'), b: branch('a') } });
  rows.flat = send({
    initial: 'off',
    states: { off: { on: { GO: 'on' } }, on: { on: { GO: 'off' } } },
  });
  rows.regions = send({
    type: 'parallel',
    states: { r0: region(), r1: region(), r2: region() },
  });
}

for await (const line of createInterface({ input: process.stdin })) {
  const [name, number] = line.split(' ');
  const call = rows[name];
  if (!call) {
    answer('not installed');
    continue;
  }
  const before = process.cpuUsage();
  for (let count = 0; count < Number(number); count += 1) {
    const result = call();
    if (result instanceof Promise) {
      await result;
    }
  }
  const { user, system } = process.cpuUsage(before);
  answer((user + system) / Number(number));
}
