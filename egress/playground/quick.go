package playground

// quick finds the two texts of a record that is written as nearly all are: each of the two names once and without escapes, two texts, and
// nothing else. The texts keep their quotes. All other values, mistakes among them, are encoding/json's, which looks at each byte several
// times: a restart looks at the whole outbox before it can say of any topic that it is empty.
func quick(value []byte) (topic, payload []byte, ok bool) {
	s := scanner{value}
	if !s.take('{') {
		return nil, nil, false
	}
	for i := range 2 {
		if i > 0 && !s.take(',') {
			return nil, nil, false
		}
		name := s.text()
		if name == nil || !s.take(':') {
			return nil, nil, false
		}
		text := s.text()
		switch {
		case text == nil:
			return nil, nil, false
		case string(name) == `"topic"` && topic == nil:
			topic = text
		case string(name) == `"payload"` && payload == nil:
			payload = text
		default:
			return nil, nil, false
		}
	}
	return topic, payload, s.take('}') && s.blank()
}

// scanner reads JSON from its front.
type scanner struct{ rest []byte }

// blank skips what means nothing, and reports whether that was all.
func (s *scanner) blank() bool {
	for len(s.rest) > 0 && (s.rest[0] == ' ' || s.rest[0] == '\n' || s.rest[0] == '\r' || s.rest[0] == '\t') {
		s.rest = s.rest[1:]
	}
	return len(s.rest) == 0
}

func (s *scanner) take(c byte) bool {
	if s.blank() || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// text takes a text with its quotes, or answers nil when there is none. Whether it is UTF-8 is not looked at.
func (s *scanner) text() []byte {
	if s.blank() || s.rest[0] != '"' {
		return nil
	}
	b := s.rest
	for i := 1; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			s.rest = b[i+1:]
			return b[: i+1 : i+1]
		case c < ' ':
			return nil
		case c == '\\':
			n := escape(b[i+1:])
			if n == 0 {
				return nil
			}
			i += n
		}
	}
	return nil
}

// escape is how many bytes belong to an escape, the backslash not counted; 0: it is none.
func escape(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	switch b[0] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 1
	case 'u':
		if len(b) < 5 {
			return 0
		}
		for _, c := range b[1:5] {
			if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
				return 0
			}
		}
		return 5
	}
	return 0
}
