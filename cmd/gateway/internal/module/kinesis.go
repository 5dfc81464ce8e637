package module

import (
	"math"
	"net/url"
	"strings"

	yaml "go.yaml.in/yaml/v3"

	"github.com/stategate/stategate/api"
)

// KinesisIngress reads streams.
type KinesisIngress struct {
	Place            Place
	ID               string // "namespace/name"
	Region           AWSRegion
	Credentials      AWSCredentials
	StartupPosition  StartupPosition // latest, earliest or date
	Streams          []KinesisStream
	ClientProperties Properties // full names
}

// KinesisStream is one stream and where its records go.
type KinesisStream struct {
	Place     Place
	Stream    string
	ValueType string
	Targets   []api.FunctionType

	targetPlaces []Place
}

// KinesisEgress writes records to streams that the functions name.
type KinesisEgress struct {
	Place                 Place
	ID                    string // "namespace/name"
	Region                AWSRegion
	Credentials           AWSCredentials
	MaxOutstandingRecords int // 1000 unless written
	ClientProperties      Properties
}

// AWSRegion says where the streams are: Kind "default" (as the AWS libraries find it), "specific" (ID) or
// "custom-endpoint" (Endpoint and ID).
type AWSRegion struct{ Kind, ID, Endpoint string }

// AWSCredentials says who asks: Kind "default" (as the AWS libraries find them), "basic" (the keys) or "profile".
type AWSCredentials struct {
	Kind                     string
	AccessKeyID              string
	SecretAccessKey          Secret
	ProfileName, ProfilePath string
}

func (p *parser) kinesisIngress(spec *object) {
	p.anIngress = true
	id, at := spec.needID()
	k := KinesisIngress{Place: p.place(at), ID: id}
	k.Region, k.Credentials = p.awsRegion(spec), p.awsCredentials(spec)
	k.StartupPosition = p.startupPosition(spec, StartLatest, StartEarliest, StartDate)
	k.Streams = p.kinesisStreams(spec)
	k.ClientProperties = spec.properties("clientConfigProperties")
	for i := range k.ClientProperties {
		k.ClientProperties[i].Key = clientConfigKey(k.ClientProperties[i].Key)
	}
	if id != "" && p.bind("ingress", id, k.Place) {
		p.module.KinesisIngresses = append(p.module.KinesisIngresses, k)
		p.listKinesisIngress(&k, spec.node)
	}
}

// clientConfigKey is the full name of a setting: MaxConnections is aws.clientconfig.maxConnections.
func clientConfigKey(s string) string {
	if s == "" || strings.HasPrefix(s, "flink.") || strings.HasPrefix(s, "aws.") {
		return s
	}
	return "aws.clientconfig." + strings.ToLower(s[:1]) + s[1:]
}

func (p *parser) kinesisStreams(spec *object) []KinesisStream {
	items, ok := spec.list("streams", true)
	if ok && len(items) == 0 {
		p.complain(spec.take("streams"), Error, "streams is empty: want at least one stream")
	}
	var streams []KinesisStream
	at := map[string]int{}
	for _, item := range items {
		o := p.object(item, "a stream", Error)
		if o == nil {
			continue
		}
		s := KinesisStream{Place: p.place(item), Stream: o.needText("stream"), ValueType: p.valueType(o)}
		s.Targets, s.targetPlaces = p.targets(o)
		o.close()
		if i, twice := at[s.Stream]; twice && s.Stream != "" {
			p.complain(item, Warning, "stream %s is given twice (first in line %d): the last one counts", quote(s.Stream), streams[i].Place.Line)
			streams[i] = s
			continue
		}
		at[s.Stream] = len(streams)
		streams = append(streams, s)
	}
	return streams
}

func (p *parser) kinesisEgress(spec *object) {
	id, at := spec.needID()
	k := KinesisEgress{Place: p.place(at), ID: id}
	k.Region, k.Credentials = p.awsRegion(spec), p.awsCredentials(spec)
	k.MaxOutstandingRecords = int(spec.number("maxOutstandingRecords", 1000, 1, math.MaxInt32))
	k.ClientProperties = spec.properties("clientConfigProperties")
	if id != "" && p.bind("egress", id, k.Place) {
		p.module.KinesisEgresses = append(p.module.KinesisEgresses, k)
		p.listKinesisEgress(&k, spec.node)
	}
}

func (p *parser) awsRegion(spec *object) AWSRegion {
	n := spec.take("awsRegion")
	if n == nil {
		return AWSRegion{Kind: "default"}
	}
	o := p.object(n, "awsRegion", Error)
	if o == nil {
		return AWSRegion{}
	}
	defer o.close()
	r := AWSRegion{Kind: o.choice("type", []string{"default", "specific", "custom-endpoint"})}
	switch r.Kind {
	case "specific":
		r.ID = o.needText("id")
	case "custom-endpoint":
		r.Endpoint, r.ID = o.needText("endpoint"), o.needText("id")
		u, err := url.Parse(r.Endpoint)
		if r.Endpoint != "" && (err != nil || !strings.EqualFold(u.Scheme, "https") || u.Host == "") {
			p.complain(o.take("endpoint"), Error, "endpoint: want an https URL, got %s", p.describe(o.take("endpoint")))
		}
	case "":
		o.knows("id", "endpoint")
	}
	return r
}

func (p *parser) awsCredentials(spec *object) AWSCredentials {
	n := spec.take("awsCredentials")
	if n == nil {
		return AWSCredentials{Kind: "default"}
	}
	if n.Kind == yaml.ScalarNode {
		p.complain(n, Error, "awsCredentials: want a map, got text") // not shown: it may be a secret
		return AWSCredentials{}
	}
	o := p.object(n, "awsCredentials", Error)
	if o == nil {
		return AWSCredentials{}
	}
	o.hides = true
	defer o.close()
	c := AWSCredentials{Kind: o.choice("type", []string{"default", "basic", "profile"})}
	switch c.Kind {
	case "basic":
		c.AccessKeyID, c.SecretAccessKey = o.needText("accessKeyId"), Secret(o.needText("secretAccessKey"))
	case "profile":
		c.ProfileName, c.ProfilePath = o.needText("profileName"), o.text("profilePath", "")
	case "":
		o.knows("accessKeyId", "secretAccessKey", "profileName", "profilePath")
	}
	return c
}
