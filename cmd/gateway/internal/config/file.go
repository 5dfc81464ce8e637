package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	yaml "go.yaml.in/yaml/v3"

	"github.com/stategate/stategate/cmd/gateway/internal/nearest"
)

const (
	fileBytesMax     = 1 << 20  // of the file of settings
	storeBytesMax    = 64 << 10 // of the file with the store's URL
	fileComplaintMax = 100
)

// readBounded reads a whole file of at most max bytes.
func readBounded(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, cause(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("it is larger than %s", formatSize(most))
	}
	return data, cause(err)
}

// cause takes the path out of an error of the file system: it is said already.
func cause(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// parseFile reads the text of a file of settings; name stands in the errors.
func parseFile(name string, data []byte) (layer, error) {
	wrong := func(line, column int, format string, args ...any) error {
		return &ValueError{Where: fmt.Sprintf("%s:%d:%d", name, max(line, 1), max(column, 1)), Text: fmt.Sprintf(format, args...)}
	}
	var doc yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		line, text := syntaxError(err)
		return nil, wrong(line, 1, "not YAML: %s", text)
	}
	var more yaml.Node
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, wrong(max(more.Line, doc.Line), 1, "want one document of settings, and nothing behind it")
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
		return nil, nil
	}
	if root.Kind != yaml.MappingNode {
		return nil, wrong(root.Line, root.Column, "want settings as KEY: VALUE, one a line; gateway config prints them all")
	}
	at := func(n *yaml.Node, key string) string { return fmt.Sprintf("%s:%d:%d: %s", name, n.Line, n.Column, key) }
	out := layer{}
	var errs []error
	first := map[string]int{}
	for i := 0; i+1 < len(root.Content) && len(errs) < fileComplaintMax; i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		s := find(key.Value)
		if key.Kind != yaml.ScalarNode || s == nil {
			errs = append(errs, wrong(key.Line, key.Column, "%s", unknownKey(key)))
			continue
		}
		if line, twice := first[s.key]; twice {
			errs = append(errs, wrong(key.Line, key.Column, "%s is given twice, first in line %d: remove one", s.key, line))
			continue
		}
		first[s.key] = key.Line
		switch {
		case s.list && value.Kind == yaml.SequenceNode:
			text, err := listText(value)
			if err != nil {
				errs = append(errs, wrong(value.Line, value.Column, "%s: %v", s.key, err))
				continue
			}
			out[s.key] = given{where: at(value, s.key), from: fmt.Sprintf("%s:%d", name, value.Line), text: text}
		case value.Kind != yaml.ScalarNode:
			errs = append(errs, wrong(value.Line, value.Column, "%s: want a text or a number behind the colon, on its line", s.key))
		case value.ShortTag() == "!!null":
			errs = append(errs, wrong(key.Line, key.Column, "%s has no value: give one or remove the line", s.key))
		default:
			out[s.key] = given{where: at(value, s.key), from: fmt.Sprintf("%s:%d", name, value.Line), text: value.Value}
		}
	}
	return out, errors.Join(errs...)
}

// listText is a list of values as it stands in a variable.
func listText(list *yaml.Node) (string, error) {
	var all []string
	for _, item := range list.Content {
		if item.Kind != yaml.ScalarNode || item.ShortTag() == "!!null" {
			return "", errors.New("want a list of texts, and each with a value")
		}
		all = append(all, item.Value)
	}
	if len(all) == 0 {
		return "", errors.New("want at least one in the list")
	}
	return strings.Join(all, listSeparator), nil
}

var keyForm = regexp.MustCompile(`^[\w.-]+$`)

func unknownKey(key *yaml.Node) string {
	if key.Kind != yaml.ScalarNode || !keyForm.MatchString(key.Value) { // not shown: it may be an URL with a password in it
		return "this is no key: want settings as KEY: VALUE, one a line; gateway config prints them all"
	}
	return "unknown key " + shown(key.Value) + ": " + guessKey(key.Value)
}

// guessKey takes the name of a flag for its key, too.
func guessKey(given string) string {
	var keys []string
	for i := range settings {
		if s := &settings[i]; given == s.flag() || given == s.variable() {
			return "did you mean " + s.key + "?"
		}
		keys = append(keys, settings[i].key)
	}
	if given == configFlag {
		return "a file of settings cannot name another"
	}
	return nearest.Guess(given, keys)
}

var syntaxLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(?s:(.*))$`)

// syntaxError takes an error of the YAML library apart. Its text names kinds of tokens and, of all that was given, anchors
// only: those are left out, for a password may begin with a star.
func syntaxError(err error) (line int, text string) {
	m := syntaxLine.FindStringSubmatch(err.Error())
	if m == nil {
		return 1, err.Error()
	}
	_, _ = fmt.Sscan(m[1], &line) // "" leaves 0
	if strings.HasPrefix(m[2], "did not find expected") {
		line++ // its parser counts lines from 0, its scanner from 1
	}
	if strings.HasPrefix(m[2], "unknown anchor") {
		return line, "a value that begins with * must stand in quotes"
	}
	return line, m[2]
}
