// The calls of a map, one function each. Law: each is one call of the client's public interface. Must not know: what is expected.
'use strict';

const { aggregation, wanted } = require('./predicates');
const { Load } = require('./load');
const { Race } = require('./race');
const { Lacks, read, told } = require('./values');

const LISTENS_TO = { added: 'added', removed: 'removed', updated: 'updated', evicted: 'evicted', expired: 'expired', evictAll: 'mapEvicted', clearAll: 'mapCleared' };
const OF_ALL = ['evictAll', 'clearAll'];

const number = (value) => ({ number: value.toString() });
const pairs = (entries) => entries.map(([key, value]) => [told(key), told(value)]);
const lives = (options = {}) => [options.ttl, options.maxIdle];

function eventTold(type, event) {
    const seen = { type };
    for (const [name, value] of [['key', event.key], ['value', event.value], ['old', event.oldValue], ['merging', event.mergingValue]]) {
        if (value !== null && value !== undefined) {
            seen[name] = told(value);
        }
    }
    if (OF_ALL.includes(type)) {
        seen.count = event.numberOfAffectedEntries;
    }
    return seen;
}

// One paging predicate is used again by its label, so that it goes on where it was.
function predicateOf(player, spec) {
    if (spec[0] !== 'page') {
        return wanted(spec);
    }
    const [, label, page, inner, size] = spec;
    player.pages[label] = player.pages[label] || wanted(['paging', inner, size]);
    player.pages[label].setPage(page);
    return player.pages[label];
}

const maps = {
    put: async (map, key, value, options) => told(await map.put(read(key), read(value), ...lives(options))),
    set: (map, key, value, options) => map.set(read(key), read(value), ...lives(options)),
    putIfAbsent: async (map, key, value, options) => told(await map.putIfAbsent(read(key), read(value), ...lives(options))),
    putTransient: (map, key, value, options) => map.putTransient(read(key), read(value), ...lives(options)),
    tryPut: (map, key, value, timeout) => map.tryPut(read(key), read(value), timeout),
    tryRemove: (map, key, timeout) => map.tryRemove(read(key), timeout),
    get: async (map, key) => told(await map.get(read(key))),
    remove: async (map, key) => told(await map.remove(read(key))),
    removeIfSame: (map, key, value) => map.remove(read(key), read(value)),
    delete: (map, key) => map.delete(read(key)),
    replace: async (map, key, value) => told(await map.replace(read(key), read(value))),
    replaceIfSame: (map, key, before, after) => map.replaceIfSame(read(key), read(before), read(after)),
    putAll: (map, entries) => map.putAll(entries.map(([key, value]) => [read(key), read(value)])),
    fill: (map, count, size) => map.putAll(Array.from({ length: count }, (_, n) => [`k${n}`, `v${n}`.padEnd(size, '.')])),
    getAll: async (map, keys) => pairs(await map.getAll(keys.map(read))),
    containsKey: (map, key) => map.containsKey(read(key)),
    containsValue: (map, value) => map.containsValue(read(value)),
    size: async (map) => number(await map.size()),
    isEmpty: (map) => map.isEmpty(),
    clear: (map) => map.clear(),
    setTtl: (map, key, ttl) => map.setTtl(read(key), ttl),
    evict: (map, key) => map.evict(read(key)),
    evictAll: (map) => map.evictAll(),
    flush: (map) => map.flush(),
    loadAll: (map) => map.loadAll(),
    lock: (map, key, lease) => map.lock(read(key), lease),
    tryLock: (map, key, timeout, lease) => map.tryLock(read(key), timeout, lease),
    isLocked: (map, key) => map.isLocked(read(key)),
    unlock: (map, key) => map.unlock(read(key)),
    forceUnlock: (map, key) => map.forceUnlock(read(key)),
    destroy: (map) => map.destroy(),
    removeAll: (map, predicate) => map.removeAll(wanted(predicate)),
    addIndex: (map, kind, attribute) => map.addIndex({ name: `${kind}-${attribute}`, type: kind.toUpperCase(), attributes: [attribute] }),
    iterate: () => { throw new Lacks('this client has no iterator over a map'); },
    nearHits: () => { throw new Lacks('this client tells no figures of a near cache'); },
    project: () => { throw new Lacks('this client has no projections'); },

    async aggregate(map, spec, predicate) {
        return told(await (predicate ? map.aggregateWithPredicate(aggregation(spec), wanted(predicate)) : map.aggregate(aggregation(spec))));
    },

    async keySet(map, predicate) {
        const keys = predicate ? await map.keySetWithPredicate(predicateOf(this, predicate)) : await map.keySet();
        return keys.map(told);
    },

    async values(map, predicate) {
        const values = predicate ? await map.valuesWithPredicate(predicateOf(this, predicate)) : await map.values();
        return values.toArray().map(told);
    },

    async entrySet(map, predicate) {
        return pairs(predicate ? await map.entrySetWithPredicate(predicateOf(this, predicate)) : await map.entrySet());
    },

    async view(map, key) {
        const view = await map.getEntryView(read(key));
        if (view === null) {
            return null;
        }
        return {
            key: told(view.key), value: told(view.value), creation: number(view.creationTime), expiration: number(view.expirationTime),
            hits: number(view.hits), accessed: number(view.lastAccessTime), stored: number(view.lastStoredTime),
            updated: number(view.lastUpdateTime), version: number(view.version), ttl: number(view.ttl), maxIdle: number(view.maxIdle),
        };
    },

    async listen(map, label, options) {
        const seen = [];
        this.seen[label] = seen;
        const listener = {};
        for (const kind of options.kinds || Object.keys(LISTENS_TO)) {
            listener[LISTENS_TO[kind]] = (event) => seen.push(eventTold(kind, event));
        }
        const key = options.key === undefined ? undefined : read(options.key);
        this.registrations[label] = options.where
            ? await map.addEntryListenerWithPredicate(listener, wanted(options.where), key, options.values)
            : await map.addEntryListener(listener, key, options.values);
    },

    unlisten(map, label) { return map.removeEntryListener(this.registrations[label]); },
    events(map, label) { return [...this.seen[label]]; },
    loadStart(map, writers) { this.loads[this.mapName] = new Load(map, writers); },
    loadPuts() { return number(this.loads[this.mapName].puts); },
    loadStop() { return this.loads[this.mapName].stop(); },
    loadPutsSinceMark() { return number(this.loads[this.mapName].puts - this.loads[this.mapName].putsAtMark); },
    loadMark() { this.loads[this.mapName].mark(); },
    loadLost() { return this.loads[this.mapName].lost(); },
    loadLostSinceMark() { return this.loads[this.mapName].lostSinceMark(); },

    async raceStart(map, shared, workers) {
        const first = 2000 + 10 * Object.keys(this.races).length;
        this.races[`${this.mapName} ${this.by}`] = new Race(await this.clients[this.by].getMap(shared), workers, first);
    },

    raceStop(map, directory) { return this.races[`${this.mapName} ${this.by}`].stop(`${directory}/node-${this.by}.jsonl`); },
};

module.exports = { maps };
