package module

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v3"

	"github.com/stategate/stategate/api"
)

// fileBytesMax bounds a module file; one that declares ten thousand functions has some 3 MB. Values in memory take up to a hundred
// times their text.
const fileBytesMax = 4 << 20

// The kinds of StateFun.
const (
	kindEndpointV1        = "io.statefun.endpoints.v1/http"
	kindEndpointV2        = "io.statefun.endpoints.v2/http"
	kindKafkaIngress      = "io.statefun.kafka.v1/ingress"
	kindKafkaEgress       = "io.statefun.kafka.v1/egress"
	kindKinesisIngress    = "io.statefun.kinesis.v1/ingress"
	kindKinesisEgress     = "io.statefun.kinesis.v1/egress"
	kindPlaygroundIngress = "io.statefun.playground.v1/ingress"
	kindPlaygroundEgress  = "io.statefun.playground.v1/egress"
)

// Kinds of ours.
const (
	kindLogEgress   = "io.stategate.log.v1/egress"
	kindProcess     = "io.stategate.dev.v1/process"
	kindHTTPIngress = "io.stategate.http.v1/ingress"
)

// oursPrefix begins the namespace of our own kinds, in which unknown and repeated keys are errors.
const oursPrefix = "io.stategate."

// reader is the one place that knows all kinds; nil for one that nobody knows.
func (p *parser) reader(kind string) func(spec *object) {
	switch kind {
	case kindEndpointV1:
		return p.endpointV1
	case kindEndpointV2:
		return p.endpointV2
	case kindKafkaIngress:
		return p.kafkaIngress
	case kindKafkaEgress:
		return p.kafkaEgress
	case kindKinesisIngress:
		return p.kinesisIngress
	case kindKinesisEgress:
		return p.kinesisEgress
	case kindPlaygroundIngress:
		return p.playgroundIngress
	case kindPlaygroundEgress:
		return p.playgroundEgress
	case kindLogEgress:
		return p.logEgress
	case kindProcess:
		return p.process
	case kindHTTPIngress:
		return p.httpIngress
	}
	return nil
}

var kinds = []string{
	kindEndpointV2, kindEndpointV1, kindKafkaIngress, kindKafkaEgress,
	kindKinesisIngress, kindKinesisEgress, kindPlaygroundIngress, kindPlaygroundEgress,
	kindHTTPIngress, kindLogEgress, kindProcess,
}

// Load reads a module file, or the files of a folder, as LoadAll does.
func Load(location string, lookup func(string) (string, bool)) (*Module, Complaints) {
	return LoadAll([]string{location}, lookup)
}

// LoadAll reads all files that locations stand for as one application: what one declares another may refer to, and may not declare
// again. A location is a file, or a folder of which module.yaml and the module.yaml of each folder in it are read; classpath: and
// file:// before it are left out. lookup finds the variables of the environment (os.LookupEnv). The module is nil if there is an
// error among the complaints.
func LoadAll(locations []string, lookup func(string) (string, bool)) (*Module, Complaints) {
	paths, complaints := files(locations)
	p := newParser(lookup)
	whole, bytes := len(complaints) == 0, 0
	for _, path := range paths {
		data, err := readFile(path)
		if err == nil {
			if bytes += len(data); bytes > moduleBytesMax {
				err = fmt.Errorf("all files of the application together are larger than %d bytes", moduleBytesMax)
			}
		}
		if err != nil {
			p.complaints = append(p.complaints, notRead(path, err))
			whole = false
			if bytes > moduleBytesMax {
				break
			}
			continue
		}
		whole = p.parse(path, data) && whole
	}
	p.complaints = append(p.complaints, complaints...)
	return p.result(whole)
}

// Parse reads the text of one module file; name stands in the complaints, and its folder for classpath:. The module is nil if
// there is an error among them.
func Parse(name string, data []byte, lookup func(string) (string, bool)) (*Module, Complaints) {
	p := newParser(lookup)
	return p.result(p.parse(name, data))
}

func newParser(lookup func(string) (string, bool)) *parser {
	if lookup == nil {
		lookup = func(string) (string, bool) { return "", false }
	}
	return &parser{
		placeholders: placeholders{lookup: lookup}, source: map[*yaml.Node]string{}, unresolved: map[*yaml.Node]bool{},
		variables: map[*yaml.Node][]variable{}, unused: map[*yaml.Node]bool{},
		bound: map[string]Place{}, module: Module{index: map[Functions]int{}},
	}
}

// result is what all files together are; whole says whether all of them could be seen.
func (p *parser) result(whole bool) (*Module, Complaints) {
	if whole {
		p.checkWhole()
	}
	complaints := p.complaints.ordered()
	if complaints.HasErrors() {
		return nil, complaints
	}
	m := p.module // the parser, with what it has read, is not kept
	return &m, complaints
}

// parse reads all documents of a file; false if it could not see all of it.
func (p *parser) parse(name string, data []byte) bool {
	p.file, p.nodes, p.items, p.searched = name, 0, 0, 0
	p.module.files = append(p.module.files, name)
	top := &yaml.Node{Line: 1, Column: 1}
	if len(data) > fileBytesMax {
		p.complain(top, Error, "the file is larger than %d bytes", fileBytesMax)
		return false
	}
	docs, whole := p.documents(data)
	for _, doc := range docs {
		if !p.prepare(doc, 0) {
			return false
		}
	}
	if len(docs) == 1 && whole && hasKey(docs[0], "version") {
		return p.legacy(docs[0])
	}
	for _, doc := range docs {
		p.document(doc)
	}
	return whole
}

// checkWhole complains of what a module must have, and of targets that nobody serves.
func (p *parser) checkWhole() {
	top := Place{Line: 1, Column: 1}
	what := "the module has"
	if n := len(p.module.files); n > 0 {
		top.File = p.module.files[0]
		if n > 1 {
			what = fmt.Sprintf("the %d files of the application, of which this is the first, have", n)
		}
	}
	if !p.anIngress {
		p.complainAt(top, Error, "%s no ingress: want at least one, such as %s", what, kindKafkaIngress)
	}
	if !p.anyServed {
		p.complainAt(top, Error, "%s no endpoint: want at least one, such as %s", what, kindEndpointV2)
	}
	p.checkPorts()
	if !p.complaints.HasErrors() { // else an endpoint may be missing because it is broken
		p.checkTargets()
	}
}

// documents are the roots of all documents that are not empty; whole is false if there is more that is no YAML.
func (p *parser) documents(data []byte) (docs []*yaml.Node, whole bool) {
	decoder := yaml.NewDecoder(bytes.NewReader(acceptable(data)))
	for {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs, true
		}
		if err != nil {
			p.complain(syntaxPlace(data, err), Error, "not YAML: %s", hinted(syntaxText(err)))
			return docs, false
		}
		if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 && !isNull(doc.Content[0]) {
			docs = append(docs, doc.Content[0])
		}
	}
}

// hinted adds what the YAML library does not say: what the character may be, which is not shown for it may be a part of a secret.
func hinted(text string) string {
	if strings.HasPrefix(text, "found character that cannot start any token") {
		return text + ": YAML indents with spaces, not with tabs, and text that begins with @, ` or % wants quotes"
	}
	return text
}

// document reads kind and spec.
func (p *parser) document(root *yaml.Node) {
	o := p.object(root, "a document", Error)
	if o == nil {
		p.unreadable()
		return
	}
	kindNode, specNode := o.need("kind"), o.need("spec")
	o.close()
	if kindNode == nil {
		p.unreadable()
		return
	}
	kind := p.typeName(kindNode, "kind")
	if kind.IsZero() {
		p.unreadable()
		return
	}
	p.component(kindNode, kind.String(), specNode)
}

// component reads the spec of a kind; spec is nil when it is missing, which is complained of already.
func (p *parser) component(at *yaml.Node, kind string, spec *yaml.Node) {
	if ft, err := api.ParseFunctionType(kind); err == nil {
		kind = ft.String()
	}
	read := p.reader(kind)
	if read == nil {
		p.complain(at, Error, "unknown kind %s: %s", p.describe(at), guess(kind, kinds))
	}
	if read == nil || spec == nil {
		p.unreadable()
		return
	}
	o := p.object(spec, "spec of "+kind, Error)
	if o == nil {
		p.unreadable()
		return
	}
	o.ours, p.kind = strings.HasPrefix(kind, oursPrefix), kind
	read(o)
	o.close()
}

// unreadable notes a component of which cannot be told what it should have been: it may be the ingress or endpoint that the rest lacks.
func (p *parser) unreadable() { p.anyServed, p.anIngress = true, true }

func hasKey(n *yaml.Node, key string) bool {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return true
		}
	}
	return false
}

// yamlDirective is a version that StateFun's YAML reader takes for 1.1, and ours refuses.
var yamlDirective = regexp.MustCompile(`(?m)^%YAML 1\.\d+\r?$`)

// acceptable turns what StateFun's reader takes and ours does not into the same thing in other words, without moving lines.
func acceptable(data []byte) []byte {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if bytes.Contains(data, []byte("%YAML")) {
		data = yamlDirective.ReplaceAll(data, []byte("%YAML 1.1"))
	}
	if bytes.IndexByte(data, '\\') >= 0 && json.Valid(data) {
		data = withoutJSONEscapes(data)
	}
	return data
}

// withoutJSONEscapes replaces the escapes of JSON that YAML 1.1 does not know: \/ and pairs of surrogates.
func withoutJSONEscapes(data []byte) []byte {
	out := make([]byte, 0, len(data))
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			out = append(out, data[i])
			continue
		}
		if r, ok := surrogates(data[i:]); ok {
			out = utf8.AppendRune(out, r)
			i += len(`\ud83d\ude00`) - 1
			continue
		}
		i++ // in valid JSON something follows
		if data[i] != '/' {
			out = append(out, '\\')
		}
		out = append(out, data[i])
	}
	return out
}

func surrogates(s []byte) (rune, bool) {
	if len(s) < 12 || s[1] != 'u' || s[6] != '\\' || s[7] != 'u' {
		return 0, false
	}
	high, err1 := strconv.ParseUint(string(s[2:6]), 16, 16)
	low, err2 := strconv.ParseUint(string(s[8:12]), 16, 16)
	if err1 != nil || err2 != nil {
		return 0, false
	}
	r := utf16.DecodeRune(rune(high), rune(low))
	return r, r != utf8.RuneError
}

var (
	syntaxLine    = regexp.MustCompile(`^yaml: (?:line (\d+): )?(?s:(.*))$`)
	unknownAnchor = regexp.MustCompile(`^unknown anchor '(.+)' referenced$`)
)

func syntaxText(err error) string {
	text := err.Error()
	if m := syntaxLine.FindStringSubmatch(text); m != nil {
		text = m[2]
	}
	if unknownAnchor.MatchString(text) { // its name may be a password
		return "unknown anchor; text that begins with * wants quotes"
	}
	return text
}

// syntaxPlace finds where an error of the YAML library is. It tells the line only, and not always.
func syntaxPlace(data []byte, err error) *yaml.Node {
	m := syntaxLine.FindStringSubmatch(err.Error())
	if m == nil {
		return &yaml.Node{Line: 1, Column: 1}
	}
	line, _ := strconv.Atoi(m[1])
	if line > 0 && strings.HasPrefix(m[2], "did not find expected") {
		line++ // its parser counts lines from 0, its scanner from 1
	}
	if a := unknownAnchor.FindStringSubmatch(m[2]); a != nil {
		if at := bytes.Index(data, []byte("*"+a[1])); at >= 0 {
			line = 1 + bytes.Count(data[:at], []byte("\n"))
		}
	}
	return &yaml.Node{Line: min(line, 1+bytes.Count(data, []byte("\n"))), Column: 1}
}
