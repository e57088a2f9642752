package harness

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Find returns what is at a path such as Tasks[0].LastStatus in a JSON document, as text: strings as they are, anything
// else as JSON, and nothing for what is not there. "[]" goes through a list, joined with spaces; "length" is a list's length;
// a last "~" keeps what follows the last slash, as in the identifier at the end of an ARN. Case does not matter.
func Find(document []byte, path string) (string, error) {
	var v any
	if err := json.Unmarshal(document, &v); err != nil {
		return "", err
	}
	short := strings.HasSuffix(path, "~")
	steps := strings.FieldsFunc(strings.TrimSuffix(path, "~"), func(r rune) bool { return r == '.' })
	var split []string
	for _, s := range steps {
		for {
			i := strings.IndexByte(s, '[')
			if i < 0 {
				break
			}
			if i > 0 {
				split = append(split, s[:i])
			}
			end := strings.IndexByte(s, ']')
			if end < i {
				return "", fmt.Errorf("path %s: [ without ]", path)
			}
			split = append(split, s[i:end+1])
			s = s[end+1:]
		}
		if s != "" {
			split = append(split, s)
		}
	}
	found := walk(v, split)
	if short {
		found = found[strings.LastIndexByte(found, '/')+1:]
	}
	return found, nil
}

func walk(v any, steps []string) string {
	if len(steps) == 0 {
		switch v := v.(type) {
		case nil:
			return ""
		case string:
			return v
		default:
			b, err := json.Marshal(v)
			if err != nil {
				return err.Error()
			}
			return string(b)
		}
	}
	step, rest := steps[0], steps[1:]
	items, isList := v.([]any)
	if v == nil && strings.EqualFold(step, "length") {
		return "0"
	}
	switch {
	case strings.EqualFold(step, "length") && isList:
		return strconv.Itoa(len(items))
	case step == "[]" && isList:
		var all []string
		for _, item := range items {
			all = append(all, walk(item, rest))
		}
		return strings.Join(all, " ")
	case strings.HasPrefix(step, "["):
		if n, err := strconv.Atoi(step[1 : len(step)-1]); err == nil && n < len(items) {
			return walk(items[n], rest)
		}
		return ""
	}
	members, _ := v.(map[string]any)
	for name, member := range members {
		if strings.EqualFold(name, step) {
			return walk(member, rest)
		}
	}
	return ""
}
