package store

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

const recordPrefix = "rec/"

// recordKey returns the back end's key of a record; parseRecordKey is its twin. An ID may hold any byte, a table name
// holds no slash.
func recordKey(table, id string) string { return recordPrefix + table + "/" + id }

func parseRecordKey(key string) (table, id string, ok bool) {
	rest, ok := strings.CutPrefix(key, recordPrefix)
	if !ok {
		return "", "", false
	}
	table, id, ok = strings.Cut(rest, "/")
	return table, id, ok && table != "" && id != ""
}

func guardKey(table string) string { return GuardPrefix + table }

// isTableName reports whether name may name a table: lower-case letters, digits and hyphens.
func isTableName(name string) bool {
	for i, c := range name {
		if (c < 'a' || c > 'z') && (i == 0 || (c != '-' && (c < '0' || c > '9'))) {
			return false
		}
	}
	return name != ""
}

// seal puts the schema's number before an encoded record: "v1 {...}". open is its twin.
func seal(schema int, doc []byte) []byte {
	raw := make([]byte, 0, len(doc)+5)
	raw = append(raw, 'v')
	raw = strconv.AppendInt(raw, int64(schema), 10)
	raw = append(raw, ' ')
	return append(raw, doc...)
}

func open(raw []byte) (schema int, doc []byte, err error) {
	head, doc, ok := bytes.Cut(raw, []byte(" "))
	if !ok || len(head) < 2 || head[0] != 'v' || head[1] < '1' || head[1] > '9' {
		return 0, nil, fmt.Errorf("record has no schema number in front")
	}
	if schema, err = strconv.Atoi(string(head[1:])); err != nil {
		return 0, nil, fmt.Errorf("schema number: %w", err)
	}
	return schema, doc, nil
}

// decodeRecord returns the record of a sealed value, brought to the table's schema.
func (d *tableDef) decodeRecord(id string, raw []byte) (any, error) {
	schema, doc, err := open(raw)
	if err != nil {
		return nil, fmt.Errorf("table %s, record %s: %w", d.name, id, err)
	}
	switch {
	case schema > d.schema:
		return nil, fmt.Errorf("table %s, record %s: written with schema %d by a newer Neargate; this one knows up to %d", d.name, id, schema, d.schema)
	case schema < d.schema && d.upgrade == nil:
		return nil, fmt.Errorf("table %s, record %s: schema %d is no longer readable, the table has schema %d", d.name, id, schema, d.schema)
	case schema < d.schema:
		if doc, err = d.upgrade(schema, doc); err != nil {
			return nil, fmt.Errorf("table %s, record %s: upgrade from schema %d: %w", d.name, id, schema, err)
		}
	}
	val, err := d.decode(doc)
	if err != nil {
		return nil, fmt.Errorf("table %s, record %s: decode: %w", d.name, id, err)
	}
	return val, nil
}

func isGuard(key string) bool { return strings.HasPrefix(key, GuardPrefix) }
