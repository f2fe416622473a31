package main

// Values of the checks, as this language has them.
//
// Law: what a check writes as {"int": 7} goes over the wire as exactly that type, or a Lack says that this client cannot; what
// comes back is told with its type. Must not know: maps.

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/hazelcast/hazelcast-go-client/serialization"
	"github.com/hazelcast/hazelcast-go-client/types"
)

const (
	letters = "abcdefghijklmnopqrstuvwxyz"
	// Longer texts are told by their length.
	longText   = 1000
	dateForm   = "2006-01-02"
	timeForm   = "15:04:05.999999999"
	momentForm = dateForm + "T" + timeForm
	offsetForm = momentForm + "Z07:00"
)

type Lack string

func (l Lack) Error() string { return string(l) }

type tagged = map[string]any

func bigText(length int) string {
	return strings.Repeat(letters, length/len(letters)+1)[:length]
}

func integer(inner any, bits int) int64 {
	number, err := strconv.ParseInt(fmt.Sprint(inner), 10, bits)
	must(err)
	return number
}

func float(inner any) float64 {
	number, err := strconv.ParseFloat(fmt.Sprint(inner), 64)
	must(err)
	return number
}

func bigInteger(text string) *big.Int {
	number, good := new(big.Int).SetString(text, 10)
	if !good {
		panic(fmt.Errorf("%s is no whole number", text))
	}
	return number
}

func decimal(text string) types.Decimal {
	whole, fraction, _ := strings.Cut(text, ".")
	return types.NewDecimal(bigInteger(whole+fraction), len(fraction))
}

func moment(form, text string) time.Time {
	at, err := time.Parse(form, text)
	must(err)
	return at
}

func each[T any](inner any, one func(any) T) []T {
	items := inner.([]any)
	list := make([]T, len(items))
	for i, item := range items {
		list[i] = one(item)
	}
	return list
}

func uuid(text string) types.UUID {
	digits := strings.ReplaceAll(text, "-", "")
	most, err := strconv.ParseUint(digits[:16], 16, 64)
	must(err)
	least, err := strconv.ParseUint(digits[16:], 16, 64)
	must(err)
	return types.NewUUIDWith(most, least)
}

func letter(text string) uint16 { return uint16([]rune(text)[0]) }

func read(data any) any {
	object, isTagged := data.(tagged)
	if !isTagged {
		return data
	}
	for tag, inner := range object {
		if value, known := readOne(tag, inner); known {
			return value
		}
		if value, known := readMany(tag, inner); known {
			return value
		}
		panic(Lack("this client writes no " + tag))
	}
	return nil
}

func readOne(tag string, inner any) (any, bool) {
	text := fmt.Sprint(inner)
	switch tag {
	case "byte":
		return byte(integer(inner, 8)), true
	case "short":
		return int16(integer(inner, 16)), true
	case "int":
		return int32(integer(inner, 32)), true
	case "long":
		return integer(inner, 64), true
	case "float":
		return float32(float(inner)), true
	case "double":
		return float(inner), true
	case "char":
		return letter(text), true
	case "bigint":
		return bigInteger(text), true
	case "decimal":
		return decimal(text), true
	case "uuid":
		return uuid(text), true
	case "json":
		return serialization.JSON(text), true
	case "date":
		return types.LocalDate(moment(dateForm, text)), true
	case "time":
		return types.LocalTime(moment(timeForm, text)), true
	case "datetime":
		return types.LocalDateTime(moment(momentForm, text)), true
	case "offset":
		return types.OffsetDateTime(moment(offsetForm, text)), true
	case "person":
		return person(inner), true
	case "big":
		return bigText(int(integer(inner, 32))), true
	}
	return nil, false
}

func readMany(tag string, inner any) (any, bool) {
	switch tag {
	case "bytes":
		bytes, err := hex.DecodeString(inner.(string))
		must(err)
		return bytes, true
	case "chars":
		list := []uint16{}
		for _, one := range inner.(string) {
			list = append(list, uint16(one))
		}
		return list, true
	case "bools":
		return each(inner, func(item any) bool { return item.(bool) }), true
	case "shorts":
		return each(inner, func(item any) int16 { return int16(integer(item, 16)) }), true
	case "ints":
		return each(inner, func(item any) int32 { return int32(integer(item, 32)) }), true
	case "longs":
		return each(inner, func(item any) int64 { return integer(item, 64) }), true
	case "floats":
		return each(inner, func(item any) float32 { return float32(float(item)) }), true
	case "doubles":
		return each(inner, func(item any) float64 { return float(item) }), true
	case "strings":
		return each(inner, func(item any) string { return item.(string) }), true
	}
	return nil, false
}

func told(value any) any {
	switch value := value.(type) {
	case nil, bool:
		return value
	case string:
		if len(value) <= longText {
			return value
		}
		if value == bigText(len(value)) {
			return tagged{"big": len(value)}
		}
		return tagged{"spoiled": len(value)}
	case byte:
		return tagged{"byte": int8(value)}
	case int8:
		return tagged{"byte": value}
	case int16:
		return tagged{"short": value}
	case int32:
		return tagged{"int": value}
	case int64:
		return tagged{"long": strconv.FormatInt(value, 10)}
	case float32:
		return tagged{"float": value}
	case float64:
		return tagged{"double": value}
	case uint16:
		return tagged{"char": string(rune(value))}
	case *big.Int:
		return tagged{"bigint": value.String()}
	case types.Decimal:
		return tagged{"decimal": value.String()}
	case types.UUID:
		return tagged{"uuid": value.String()}
	case Person:
		return tagged{"person": tagged{"name": value.Name, "age": value.Age}}
	case serialization.JSON:
		return tagged{"json": value.String()}
	case types.LocalDate:
		return tagged{"date": value.ToTime().Format(dateForm)}
	case types.LocalTime:
		return tagged{"time": value.ToTime().Format(timeForm)}
	case types.LocalDateTime:
		return tagged{"datetime": value.ToTime().Format(momentForm)}
	case types.OffsetDateTime:
		return tagged{"offset": value.ToTime().Format(offsetForm)}
	}
	return toldMany(value)
}

func toldMany(value any) any {
	switch value := value.(type) {
	case []byte:
		return tagged{"bytes": hex.EncodeToString(value)}
	case []uint16:
		text := ""
		for _, one := range value {
			text += string(rune(one))
		}
		return tagged{"chars": text}
	case []bool:
		return tagged{"bools": value}
	case []int16:
		return tagged{"shorts": value}
	case []int32:
		return tagged{"ints": value}
	case []int64:
		return tagged{"longs": value}
	case []float32:
		return tagged{"floats": value}
	case []float64:
		return tagged{"doubles": value}
	case []string:
		return tagged{"strings": value}
	case []any:
		return tagged{"list": toldAll(value)}
	}
	// The set of an aggregator has a type of its own.
	if of := reflect.ValueOf(value); of.Kind() == reflect.Slice {
		items := make([]any, of.Len())
		for i := range items {
			items[i] = told(of.Index(i).Interface())
		}
		return tagged{"list": items}
	}
	return tagged{"unknown": fmt.Sprintf("%T %v", value, value)}
}

func toldAll(values []any) []any {
	list := make([]any, len(values))
	for i, value := range values {
		list[i] = told(value)
	}
	return list
}

func number(value int64) tagged { return tagged{"number": strconv.FormatInt(value, 10)} }

func must(err error) {
	if err != nil {
		panic(err)
	}
}
