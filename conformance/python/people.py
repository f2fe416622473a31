"""A person, in the Compact format: a schema that each language has under one name. Must not know: maps."""
import dataclasses

from hazelcast.serialization.api import CompactSerializer


@dataclasses.dataclass
class Person:
    name: str
    age: int


class PersonSerializer(CompactSerializer):
    def read(self, reader):
        return Person(reader.read_string("name"), reader.read_int32("age"))

    def write(self, writer, person):
        writer.write_string("name", person.name)
        writer.write_int32("age", person.age)

    def get_type_name(self):
        return "person"

    def get_class(self):
        return Person
