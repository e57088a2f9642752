package logship

import (
	"fmt"
	"regexp"
	"strings"
)

// verbs of awslogs-datetime-format, as expressions. They find where an event begins; they do not read the time.
var verbs = map[byte]string{
	'a': `(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)`,
	'A': `(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)`,
	'w': `[0-6]`,
	'd': `(?:0[1-9]|[12][0-9]|3[01])`,
	'b': `(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)`,
	'B': `(?:January|February|March|April|May|June|July|August|September|October|November|December)`,
	'm': `(?:0[1-9]|1[0-2])`,
	'y': `[0-9]{2}`,
	'Y': `[0-9]{4}`,
	'H': `(?:[01][0-9]|2[0-3])`,
	'I': `(?:0[1-9]|1[0-2])`,
	'p': `[AP]M`,
	'M': `[0-5][0-9]`,
	'S': `[0-5][0-9]`,
	'L': `\.[0-9]{3}`,
	'f': `[0-9]{6}`,
	'z': `[+-][0-9]{4}`,
	'Z': `[A-Z]{1,4}T`,
	'j': `(?:0[0-9][1-9]|[12][0-9]{2}|3[0-5][0-9]|36[0-6]|0[1-9]0)`,
	'%': `%`,
}

// DatetimePattern turns an awslogs-datetime-format (strftime) into the expression that finds it in a line.
func DatetimePattern(format string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			b.WriteString(regexp.QuoteMeta(format[i : i+1]))
			continue
		}
		i++
		if i == len(format) {
			return "", fmt.Errorf("awslogs-datetime-format %q ends with %%", format)
		}
		expr, ok := verbs[format[i]]
		if !ok {
			return "", fmt.Errorf("awslogs-datetime-format %q: %%%c is not supported", format, format[i])
		}
		b.WriteString(expr)
	}
	return b.String(), nil
}
