package main

// A person, in the Compact format: a schema that each language has under one name. Must not know: maps.

import (
	"reflect"

	"github.com/hazelcast/hazelcast-go-client/serialization"
)

type Person struct {
	Name string
	Age  int32
}

type personSerializer struct{}

func (personSerializer) Type() reflect.Type { return reflect.TypeFor[Person]() }

func (personSerializer) TypeName() string { return "person" }

func (personSerializer) Read(reader serialization.CompactReader) any {
	person := Person{Age: reader.ReadInt32("age")}
	if name := reader.ReadString("name"); name != nil {
		person.Name = *name
	}
	return person
}

func (personSerializer) Write(writer serialization.CompactWriter, value any) {
	person := value.(Person)
	writer.WriteString("name", &person.Name)
	writer.WriteInt32("age", person.Age)
}

func person(inner any) Person {
	fields := inner.(tagged)
	return Person{Name: fields["name"].(string), Age: int32(integer(fields["age"], 32))}
}
