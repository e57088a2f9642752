package ruleset

import (
	"fmt"
	"strings"
)

// Script returns the table as a script that `nft -f` loads.
func (t *Table) Script() string {
	var b strings.Builder
	fmt.Fprintf(&b, "table inet %s {\n", TableName)
	for i := range t.Sets {
		t.Sets[i].script(&b)
	}
	for i := range t.Chains {
		t.Chains[i].script(&b)
	}
	b.WriteString("}\n")
	return b.String()
}

func (s *Set) script(b *strings.Builder) {
	names := make([]string, 0, len(s.Key))
	for _, t := range s.Key {
		names = append(names, t.String())
	}
	word, value := "set", ""
	switch s.Value {
	case MarkValue:
		word, value = "map", " : mark"
	case AddrValue:
		word, value = "map", " : ipv4_addr"
	case VerdictValue:
		word, value = "map", " : verdict"
	}
	fmt.Fprintf(b, "\t%s %s {\n\t\ttype %s%s\n", word, s.Name, strings.Join(names, " . "), value)
	if s.Interval {
		b.WriteString("\t\tflags interval\n")
	}
	if s.Counted {
		b.WriteString("\t\tcounter\n")
	}
	if len(s.Elements) > 0 {
		b.WriteString("\t\telements = {\n")
		for i := range s.Elements {
			e := &s.Elements[i]
			b.WriteString("\t\t\t" + keyText(s.Key, e))
			switch s.Value {
			case MarkValue:
				b.WriteString(" : " + markText(e.Mark))
			case AddrValue:
				b.WriteString(" : " + e.Addr.String())
			case VerdictValue:
				b.WriteString(" : " + e.Verdict.String())
			}
			b.WriteString(",\n")
		}
		b.WriteString("\t\t}\n")
	}
	b.WriteString("\t}\n")
}

func (c *Chain) script(b *strings.Builder) {
	fmt.Fprintf(b, "\tchain %s {\n", c.Name)
	if h := c.Hook; h != nil {
		policy := "accept"
		if h.Drop {
			policy = "drop"
		}
		fmt.Fprintf(b, "\t\ttype %s hook %s priority %d; policy %s;\n", h.Type, h.Point, h.Priority, policy)
	}
	for i := range c.Rules {
		b.WriteString("\t\t" + c.Rules[i].String() + "\n")
	}
	b.WriteString("\t}\n")
}
