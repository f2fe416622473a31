// Writers that keep a ledger while members are killed and cut off: what was acknowledged must be there.
//
// Law: each writer owns its keys and counts up, and each put says what was there before: the last acknowledged value, or one of
// those whose put failed, which may be done at any time. What was acknowledged when the ledger was marked is the least that
// must be there even where a map may lose its last moments. Must not know: what is done to the members.
'use strict';

const KEYS_EACH = 20;
const AFTER_TROUBLE = 50;
// As many lines as a person reads.
const TOLD_MOST = 20;

class Load {
    constructor(map, writers) {
        this.map = map;
        this.acknowledged = new Map();
        this.unknown = new Map();
        this.marked = new Map();
        this.wrong = [];
        this.wrongSinceMark = [];
        this.puts = 0;
        this.putsAtMark = 0;
        this.failed = 0;
        this.trouble = null;
        this.ending = false;
        this.writers = Array.from({ length: writers }, (_, number) => this.write(number));
    }

    async write(writer) {
        for (let value = 1; !this.ending; value += 1) {
            const key = `w${writer}-${value % KEYS_EACH}`;
            try {
                const before = await this.map.put(key, String(value));
                this.judge(key, before);
                this.acknowledged.set(key, value);
                this.puts += 1;
            } catch (error) {
                this.unknown.set(key, (this.unknown.get(key) || new Set()).add(value));
                this.failed += 1;
                this.trouble = this.trouble || `${error.name}: ${error.message}`;
                await new Promise((later) => { setTimeout(later, AFTER_TROUBLE); });
            }
        }
    }

    judge(key, seen) {
        const value = seen === null ? undefined : Number(seen);
        const sure = this.acknowledged.get(key);
        if (value === sure || this.unknown.get(key)?.has(value)) {
            return;
        }
        const words = `${key}: ${sure} was acknowledged, ${value} is there`;
        if (this.wrong.length < TOLD_MOST) {
            this.wrong.push(words);
        }
        const least = this.marked.get(key);
        if (least !== undefined && !(value >= least) && this.wrongSinceMark.length < TOLD_MOST) {
            this.wrongSinceMark.push(`${words}, ${least} was marked`);
        }
    }

    mark() {
        this.marked = new Map(this.acknowledged);
        this.putsAtMark = this.puts;
    }

    async stop() {
        this.ending = true;
        await Promise.all(this.writers);
        return { acknowledged: this.puts, unknown: this.failed, trouble: this.trouble };
    }

    async lost() {
        for (const key of this.acknowledged.keys()) {
            this.judge(key, await this.map.get(key));
        }
        return this.wrong;
    }

    async lostSinceMark() {
        await this.lost();
        return this.wrongSinceMark;
    }
}

module.exports = { Load };
