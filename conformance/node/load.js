// Writers that keep a ledger while members are killed: what was acknowledged must be readable afterwards.
//
// Law: each writer owns its keys and counts up; what was read must lie between the last acknowledged and the last tried. A put
// that failed is unknown: it may be there. Must not know: what is done to the members.
'use strict';

const KEYS_EACH = 20;
const AFTER_TROUBLE = 50;

class Load {
    constructor(map, writers) {
        this.map = map;
        this.tried = new Map();
        this.acknowledged = new Map();
        this.puts = 0;
        this.unknown = 0;
        this.trouble = null;
        this.ending = false;
        this.writers = Array.from({ length: writers }, (_, number) => this.write(number));
    }

    async write(writer) {
        for (let value = 1; !this.ending; value += 1) {
            const key = `w${writer}-${value % KEYS_EACH}`;
            this.tried.set(key, value);
            try {
                await this.map.set(key, String(value));
                this.acknowledged.set(key, value);
                this.puts += 1;
            } catch (error) {
                this.unknown += 1;
                this.trouble = this.trouble || `${error.name}: ${error.message}`;
                await new Promise((later) => { setTimeout(later, AFTER_TROUBLE); });
            }
        }
    }

    async stop() {
        this.ending = true;
        await Promise.all(this.writers);
        return { acknowledged: this.puts, unknown: this.unknown, trouble: this.trouble };
    }

    async lost() {
        const wrong = [];
        for (const [key, least] of this.acknowledged) {
            const value = await this.map.get(key);
            if (value === null || !(least <= Number(value) && Number(value) <= this.tried.get(key))) {
                wrong.push(`${key}: ${least} was acknowledged, ${this.tried.get(key)} tried, ${value} is there`);
            }
        }
        return wrong;
    }
}

module.exports = { Load };
