package codec

import (
	"encoding/json"
	"unicode/utf8"
)

// scanner walks through JSON that json.Valid has accepted: it may rely on the grammar, and only looks for where
// values begin and end.
type scanner struct {
	data []byte
	pos  int
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// peek returns the first byte of the next value or punctuation.
func (s *scanner) peek() byte {
	s.space()
	if s.pos >= len(s.data) {
		return 0
	}
	return s.data[s.pos]
}

// rawString returns the inside of a string and whether it has escapes.
func (s *scanner) rawString() (inside []byte, hasEscapes bool) {
	s.space()
	s.pos++
	start := s.pos
	for s.data[s.pos] != '"' {
		if s.data[s.pos] == '\\' {
			hasEscapes = true
			s.pos++
		}
		s.pos++
	}
	inside = s.data[start:s.pos]
	s.pos++
	return inside, hasEscapes
}

func (s *scanner) str() string {
	s.space()
	start := s.pos
	inside, hasEscapes := s.rawString()
	if !hasEscapes && utf8.Valid(inside) {
		return string(inside)
	}
	var out string
	// The grammar was checked; what may be wrong is UTF-8, which Unmarshal replaces.
	_ = json.Unmarshal(s.data[start:s.pos], &out)
	return out
}

// skip returns the raw text of the next value.
func (s *scanner) skip() []byte {
	first := s.peek()
	start := s.pos
	switch first {
	case '"':
		s.rawString()
	case '{', '[':
		s.skipNested()
	default:
		for s.pos < len(s.data) && !isDelimiter(s.data[s.pos]) {
			s.pos++
		}
	}
	return s.data[start:s.pos]
}

func (s *scanner) skipNested() {
	depth := 0
	for {
		switch s.data[s.pos] {
		case '"':
			s.rawString()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		s.pos++
		if depth == 0 {
			return
		}
	}
}

func isDelimiter(c byte) bool {
	switch c {
	case ',', '}', ']', ' ', '\t', '\n', '\r':
		return true
	}
	return false
}

// object calls fn for each member, with the scanner before its value.
func (s *scanner) object(fn func(key string) error) error {
	s.peek()
	s.pos++
	for s.peek() != '}' {
		if s.data[s.pos] == ',' {
			s.pos++
		}
		key := s.str()
		s.peek()
		s.pos++ // the colon
		if err := fn(key); err != nil {
			return err
		}
	}
	s.pos++
	return nil
}

// array calls fn before each element.
func (s *scanner) array(fn func() error) error {
	s.peek()
	s.pos++
	for s.peek() != ']' {
		if s.data[s.pos] == ',' {
			s.pos++
		}
		if err := fn(); err != nil {
			return err
		}
	}
	s.pos++
	return nil
}
