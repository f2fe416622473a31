// A person, in the Compact format: a schema that each language has under one name. Must not know: maps.
'use strict';

class Person {
    constructor(name, age) {
        Object.assign(this, { name, age });
    }
}

const personSerializer = {
    getClass: () => Person,
    getTypeName: () => 'person',
    read: (reader) => new Person(reader.readString('name'), reader.readInt32('age')),
    write(writer, { name, age }) {
        writer.writeString('name', name);
        writer.writeInt32('age', age);
    },
};

module.exports = { Person, personSerializer };
