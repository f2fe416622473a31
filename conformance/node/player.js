#!/usr/bin/env node
// Plays steps of the checks with the official Node client: one step a line comes in, what was seen goes out.
//
// Law: it judges nothing. Must not know: what is expected. Usage: player.js ADDRESSES CLUSTER
'use strict';

const readline = require('readline');
const { Client } = require('hazelcast-client');
const { maps } = require('./maps');
const { personSerializer } = require('./people');
const { Lacks, numberType, read, told } = require('./values');

// Longer than a full stop and return, shorter than the runner's patience.
const CALL_WITHIN = 60000;
// The client `one` knows the first member alone, and does not wait long for it.
const OF_ONE_WITHIN = 10000;
// A cluster that does not take us is not asked for longer.
const REFUSED_WITHIN = 3000;

const toStderr = (...words) => console.error(...words);
const logger = { log: toStderr, error: toStderr, warn: toStderr, info: toStderr, debug() {}, trace() {} };

class Player {
    constructor(addresses, cluster) {
        Object.assign(this, { addresses, cluster, clients: {}, seen: {}, registrations: {}, pages: {}, loads: {}, races: {}, states: {} });
    }

    async client(by, numbers) {
        const name = numbers ? `${by}/${numbers}` : by;
        this.clients[name] = this.clients[name] || await this.connect(name, numbers, this.cluster, CALL_WITHIN);
        return this.clients[name];
    }

    connect(name, numbers, clusterName, within) {
        this.states[name] = this.states[name] || [];
        const ofOne = name.startsWith('one');
        return Client.newHazelcastClient({
            clusterName,
            customLogger: logger,
            network: { clusterMembers: ofOne ? this.addresses.slice(0, 1) : this.addresses, smartRouting: !ofOne && !name.startsWith('uni') },
            connectionStrategy: { connectionRetry: { clusterConnectTimeoutMillis: within, initialBackoffMillis: 100, maxBackoffMillis: 500 } },
            serialization: { defaultNumberType: numbers || 'double', compact: { serializers: [personSerializer] } },
            nearCaches: name.startsWith('near') ? { 'near-*': { invalidateOnChange: true } } : {},
            lifecycleListeners: [(state) => this.states[name].push(state.toLowerCase())],
            properties: {
                'hazelcast.client.invocation.timeout.millis': ofOne ? OF_ONE_WITHIN : CALL_WITHIN,
                // Else the clients acknowledge what a backup has not confirmed in time.
                'hazelcast.client.operation.fail.on.indeterminate.state': true,
            },
        });
    }

    async play({ by, map, do: [op, ...given] }) {
        if (Object.hasOwn(clientCalls, op)) {
            return clientCalls[op].call(this, by, ...given);
        }
        if (!Object.hasOwn(maps, op)) {
            throw new Lacks(`this player has no ${op}`);
        }
        const client = await this.client(by, numberType(given));
        Object.assign(this, { by, mapName: map });
        return maps[op].call(this, await client.getMap(map), ...given);
    }
}

const clientCalls = {
    async connect(by, options) {
        const client = await this.connect('asked', undefined, options.cluster || this.cluster, REFUSED_WITHIN);
        await client.shutdown();
        return 'connected';
    },

    async disconnect(by) {
        for (const name of Object.keys(this.clients).filter((each) => each.split('/')[0] === by)) {
            await this.clients[name].shutdown();
            delete this.clients[name];
        }
    },

    async members(by) {
        const members = (await this.client(by)).getCluster().getMembers();
        const seen = members.map(({ address, uuid, liteMember }) => ({ address: address.toString(), uuid: uuid.toString(), lite: liteMember }));
        return seen.sort((left, right) => (left.address < right.address ? -1 : 1));
    },

    async partitions(by) { return { number: String((await this.client(by)).getPartitionService().getPartitionCount()) }; },

    async objects(by, prefix) {
        const objects = await (await this.client(by)).getDistributedObjects();
        return objects.map((object) => object.getName()).filter((name) => name.startsWith(prefix));
    },

    async listenObjects(by, label) {
        const seen = [];
        this.seen[label] = seen;
        const note = ({ eventType, objectName, serviceName }) => seen.push({ type: eventType.toLowerCase(), name: objectName, service: serviceName });
        this.registrations[label] = await (await this.client(by)).addDistributedObjectListener(note);
    },

    async unlistenObjects(by, label) { return (await this.client(by)).removeDistributedObjectListener(this.registrations[label]); },
    objectEvents(by, label, prefix) { return this.seen[label].filter(({ name }) => name.startsWith(prefix)); },

    async states(by) {
        await this.client(by);
        return [...this.states[by]];
    },

    async sql(by, statement, ...parameters) {
        const service = (await this.client(by, numberType(parameters))).getSql();
        const result = await service.execute(statement, parameters.map(read), { returnRawResult: true });
        if (!result.isRowSet()) {
            return { updated: { number: result.updateCount.toString() } };
        }
        const columns = result.rowMetadata.getColumns().map((column) => column.name);
        const rows = [];
        for await (const row of result) {
            rows.push(columns.map((_, at) => told(row.getObject(at))));
        }
        return { columns, rows };
    },
};

async function main() {
    const player = new Player(process.argv[2].split(','), process.argv[3]);
    for await (const line of readline.createInterface({ input: process.stdin })) {
        let answer;
        try {
            const seen = await player.play(JSON.parse(line));
            answer = { is: seen === undefined ? null : seen };
        } catch (error) {
            console.error(error);
            answer = error instanceof Lacks ? { lacks: error.message } : { error: error.name === 'Error' ? error.constructor.name : error.name, says: String(error.message) };
        }
        process.stdout.write(`${JSON.stringify(answer)}\n`);
    }
    await Promise.all(Object.values(player.clients).map((client) => client.shutdown()));
    process.exit(0);
}

main();
