package codec

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Form is the parameters of a query request as a tree: "Filter.1.Name" is three levels deep.
type Form struct {
	value  string
	isSet  bool
	isUsed bool
	parts  map[string]*Form
}

const (
	// maxParams bounds the work of one request; AWS's own limits on list lengths are far below it.
	maxParams = 20000
	maxDepth  = 32
)

// ParseForm reads URL-encoded parameters. The error is an *InputError.
func ParseForm(encoded string) (*Form, error) {
	root := &Form{}
	count := 0
	for pair := range strings.SplitSeq(encoded, "&") {
		if pair == "" {
			continue
		}
		if count++; count > maxParams {
			return nil, &InputError{Name: "body", Reason: "has too many parameters"}
		}
		rawKey, rawValue, _ := strings.Cut(pair, "=")
		key, err := url.QueryUnescape(rawKey)
		if err != nil {
			return nil, &InputError{Name: "body", Reason: "is not URL-encoded"}
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil {
			return nil, &InputError{Name: key, Reason: "is not URL-encoded"}
		}
		if !root.add(key, value) {
			return nil, &InputError{Name: "body", Reason: "has a parameter whose name is too long"}
		}
	}
	return root, nil
}

func (f *Form) add(key, value string) bool {
	at := f
	for depth := 0; ; depth++ {
		if depth > maxDepth {
			return false
		}
		name, rest, more := strings.Cut(key, ".")
		next := at.parts[name]
		if next == nil {
			next = &Form{}
			if at.parts == nil {
				at.parts = map[string]*Form{}
			}
			at.parts[name] = next
		}
		at = next
		if !more {
			at.value, at.isSet = value, true
			return true
		}
		key = rest
	}
}

// Take returns the value of a parameter of the outermost level and marks it as known.
func (f *Form) Take(name string) string {
	part := f.parts[name]
	if part == nil {
		return ""
	}
	part.isUsed = true
	return part.value
}

// unknown returns the name of a parameter that nobody took, "" if there is none.
func (f *Form) unknown() string {
	names := make([]string, 0, len(f.parts))
	for name, part := range f.parts {
		if !part.isUsed {
			names = append(names, name)
		} else if inner := part.unknown(); inner != "" {
			names = append(names, name+"."+inner)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return slices.Min(names)
}

// numbered returns the parts whose names are numbers, in their order.
func (f *Form) numbered() []*Form {
	type entry struct {
		n    int
		part *Form
	}
	entries := make([]entry, 0, len(f.parts))
	for name, part := range f.parts {
		if n, err := strconv.Atoi(name); err == nil && n >= 0 {
			entries = append(entries, entry{n: n, part: part})
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return a.n - b.n })
	parts := make([]*Form, len(entries))
	for i, e := range entries {
		e.part.isUsed = true
		parts[i] = e.part
	}
	return parts
}
