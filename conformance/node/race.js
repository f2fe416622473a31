// Writers and readers of keys that all languages share, and what each was told: a history for `histories`.
//
// Law: times are of the machine's one monotonic clock, as in each other language; what failed has no return, and what is not
// offered has no line. Must not know: whether it was right.
'use strict';

const fs = require('fs');

const KEYS = 24;
// As many operations a key as can be judged.
const PACE = 20;

const later = (milliseconds) => new Promise((done) => { setTimeout(done, milliseconds); });
// Nanoseconds are more than a number of this language holds exactly: they are written as they are.
const now = () => process.hrtime.bigint();

function written(line) {
    const { call, return: returned, ...rest } = line;
    return `${JSON.stringify(rest).slice(0, -1)},"call":${call},"return":${returned}}\n`;
}

class Race {
    constructor(map, workers, first) {
        Object.assign(this, { map, lines: [], ending: false });
        this.workers = Array.from({ length: workers }, (_, number) => this.run(first + number));
    }

    async run(client) {
        const seen = new Map();
        for (let number = 1; !this.ending; number += 1) {
            await later(PACE);
            const key = `k${Math.floor(Math.random() * KEYS)}`;
            const line = { client, key, ...Race.wish(seen.get(key), `${client}-${number}`), call: now(), return: null };
            this.lines.push(line);
            try {
                const told = await this.call(line);
                Object.assign(line, told, { return: now() });
                seen.set(key, line.op !== 'cas' || line.done ? line.value : null);
            } catch (error) {
                // It may have been done, and stays without a return, but for what is not offered.
                if (error.constructor.name === 'UnsupportedOperationError') {
                    this.lines.splice(this.lines.indexOf(line), 1);
                }
            }
        }
    }

    static wish(old, value) {
        const ops = old === null || old === undefined ? ['get', 'put'] : ['get', 'put', 'cas'];
        const op = ops[Math.floor(Math.random() * ops.length)];
        return { op, ...(op !== 'get' && { value }), ...(op === 'cas' && { old }) };
    }

    async call({ op, key, old, value }) {
        switch (op) {
            case 'get': return { value: await this.map.get(key) };
            case 'put': return { before: await this.map.put(key, value) };
            default: return { done: await this.map.replaceIfSame(key, old, value) };
        }
    }

    async stop(path) {
        this.ending = true;
        await Promise.all(this.workers);
        fs.writeFileSync(path, this.lines.map(written).join(''));
        const unknown = this.lines.filter((line) => line.return === null).length;
        return { told: this.lines.length - unknown, unknown };
    }
}

module.exports = { Race };
