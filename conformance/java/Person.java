import com.hazelcast.nio.serialization.compact.CompactReader;
import com.hazelcast.nio.serialization.compact.CompactSerializer;
import com.hazelcast.nio.serialization.compact.CompactWriter;

/** A person, in the Compact format: a schema that each language has under one name. Must not know: maps. */
record Person(String name, int age) {
    static final class Serializer implements CompactSerializer<Person> {
        @Override
        public Person read(CompactReader reader) {
            return new Person(reader.readString("name"), reader.readInt32("age"));
        }

        @Override
        public void write(CompactWriter writer, Person person) {
            writer.writeString("name", person.name());
            writer.writeInt32("age", person.age());
        }

        @Override
        public String getTypeName() {
            return "person";
        }

        @Override
        public Class<Person> getCompactClass() {
            return Person.class;
        }
    }
}
