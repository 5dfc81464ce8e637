package module

import (
	"regexp"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v3"
)

// propertyValues are the values of a list of properties by their keys; the last of each key counts.
func propertyValues(list *yaml.Node) map[string]*yaml.Node {
	out := map[string]*yaml.Node{}
	if list == nil || list.Kind != yaml.SequenceNode {
		return out
	}
	for _, item := range list.Content {
		if item.Kind == yaml.MappingNode && len(item.Content) >= 2 && item.Content[0].Kind == yaml.ScalarNode {
			out[item.Content[0].Value] = item.Content[1]
		}
	}
	return out
}

// properties lists those that are written: what a client library does without one is its own. Those in whose place a key of the module
// counts are left out.
func (l *lister) properties(list string, ps Properties, values map[string]*yaml.Node, without ...string) {
	for _, q := range ps {
		switch {
		case slices.Contains(without, q.Key):
		case !propertyPattern.MatchString(q.Key) || len(q.Key) > 100: // it may be a part of a value
			l.hide(list+"."+hidden, q.Key+"\x00"+q.Value, values[q.Key])
		case showsProperty(q.Key, q.Value):
			l.add(list+"."+q.Key, q.Value, values[q.Key])
		default:
			l.hide(list+"."+q.Key, q.Value, values[q.Key])
		}
	}
}

// showsProperty reports whether nothing of a property can be a secret: it is one whose values are numbers, words or names of files, and has
// such a value. Of every other one, known or not, the value is hidden.
func showsProperty(key, value string) bool {
	switch words, known := propertyWords[key]; {
	case known:
		for part := range strings.SplitSeq(value, ",") {
			if !slices.Contains(words, strings.TrimSpace(part)) {
				return false
			}
		}
		return true
	case propertyNumbers.MatchString(key):
		return propertyNumber.MatchString(value)
	case key == "ssl.truststore.location" || key == "ssl.keystore.location":
		return propertyFile.MatchString(value)
	}
	return false
}

var (
	truths    = []string{"true", "false"}
	versions  = []string{"TLS", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"}
	fileTypes = []string{"JKS", "PKCS12", "PEM"}
)

// propertyWords are the properties whose values are words, and these words.
var propertyWords = map[string][]string{
	"acks":                                  {"all", "-1", "0", "1"},
	"compression.type":                      {"none", "gzip", "snappy", "lz4", "zstd"},
	"enable.auto.commit":                    truths,
	"enable.idempotence":                    truths,
	"isolation.level":                       {"read_committed", "read_uncommitted"},
	"sasl.mechanism":                        {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"},
	"security.protocol":                     {"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"},
	"ssl.enabled.protocols":                 versions,
	"ssl.endpoint.identification.algorithm": {"", "https"},
	"ssl.keystore.type":                     fileTypes,
	"ssl.protocol":                          versions,
	"ssl.truststore.type":                   fileTypes,
	"AggregationEnabled":                    truths,
	"VerifyCertificate":                     truths,
}

var (
	// propertyNumbers are names that say a unit or a number. None of them is of a password.
	propertyNumbers = regexp.MustCompile(`(?i)(\.(ms|millis|seconds|bytes|size|records|level|retries|factor|jitter)|-millis|\.intervalmillis|\.maxrecordcount|^retries|maxConnections|timeout|maxIdleMillis|^CollectionMax(Count|Size))$`)
	propertyNumber  = regexp.MustCompile(`^-?[0-9]{1,18}(\.[0-9]{1,9})?$`)
	propertyFile    = regexp.MustCompile(`^[A-Za-z0-9._/-]+\.(jks|p12|pfx|pkcs12|pem|crt|key)$`)
)
