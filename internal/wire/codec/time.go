package codec

import (
	"fmt"
	"time"
)

// parseTime reads a time as text: ISO 8601, or seconds since 1970.
func parseTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02", "20060102T150405Z"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	if t, ok := epoch(text); ok {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("%q is not a time", text)
}
