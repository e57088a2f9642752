package proxy

import (
	"errors"
	"fmt"
	"regexp"
)

var (
	nameForm   = regexp.MustCompile(`^[A-Za-z0-9-]+$`)
	headerForm = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
)

// validate reports a description that cannot be rendered. It is a net under the API's own checks, which tell users more.
func (c Config) validate() error {
	if c.StatsSocket == "" {
		return errors.New("no runtime socket")
	}
	for _, n := range c.Nodes {
		if !nameForm.MatchString(n.Name) || !n.Address.IsValid() {
			return fmt.Errorf("node %q with address %s", n.Name, n.Address)
		}
	}
	groups := map[string]bool{}
	for _, g := range c.Groups {
		if !nameForm.MatchString(g.Name) || groups[g.Name] {
			return fmt.Errorf("group name %q is malformed or used twice", g.Name)
		}
		groups[g.Name] = true
		switch g.Algorithm {
		case RoundRobin, LeastOutstanding, WeightedRandom:
		default:
			return fmt.Errorf("group %s: algorithm %q", g.Name, g.Algorithm)
		}
	}
	ports := map[int]bool{}
	for _, l := range c.Listeners {
		if l.Port < 1 || l.Port > 65535 || ports[l.Port] {
			return fmt.Errorf("port %d is out of range or used twice", l.Port)
		}
		ports[l.Port] = true
		if err := l.validate(groups); err != nil {
			return fmt.Errorf("port %d: %w", l.Port, err)
		}
	}
	return nil
}

func (l Listener) validate(groups map[string]bool) error {
	for _, h := range l.SetHeaders {
		if !headerForm.MatchString(h.Name) {
			return fmt.Errorf("header name %q", h.Name)
		}
	}
	for _, r := range l.Rules {
		for _, cond := range r.Conditions {
			if cond.Field == FieldHeader && !headerForm.MatchString(cond.Header) {
				return fmt.Errorf("rule %s: header name %q", r.Name, cond.Header)
			}
			if cond.Field < FieldPath || cond.Field > FieldSourceIP || len(cond.Values)+len(cond.Query) == 0 {
				return fmt.Errorf("rule %s: condition without field or values", r.Name)
			}
		}
		if err := r.Action.validate(groups); err != nil {
			return fmt.Errorf("rule %s: %w", r.Name, err)
		}
	}
	return l.Default.validate(groups)
}

func (a Action) validate(groups map[string]bool) error {
	set := 0
	for _, has := range []bool{a.Forward != nil, a.Redirect != nil, a.Fixed != nil} {
		if has {
			set++
		}
	}
	if set != 1 {
		return fmt.Errorf("%d actions instead of one", set)
	}
	for _, f := range a.Forward {
		if !groups[f.Group] {
			return fmt.Errorf("group %q is not described", f.Group)
		}
	}
	return nil
}
