package module

import (
	"strings"
	"testing"
)

// TestLostProperties: properties that concern security and stand under a key that does not count are an error, in both specs of Kafka:
// they would be left out, and the connection less safe than was asked for. Others are what they were.
func TestLostProperties(t *testing.T) {
	const list = "[{client.id: a}, {security.protocol: SASL_SSL}]"
	for keys, want := range map[string]string{
		"Properties: " + list:  `unknown key "Properties"`,
		"property: " + list:    `unknown key "property"`,
		"propertys: " + list:   `unknown key "propertys"`,
		"PROPERTIES : " + list: `unknown key "PROPERTIES"`,
		"kafka: {consumer: {properties: [{Sasl_Mechanism: PLAIN}]}}":              `unknown key "kafka"`,
		"property: {ssl.truststore.location: /ca.pem}":                            `unknown key "property"`,
		"property: [security.protocol=SSL]":                                       `unknown key "property"`,
		"property: \"client.id=a\\nsecurity.protocol = SSL\"":                     `unknown key "property"`,
		"<<: {properties: " + list + "}":                                          `unknown key "<<"`,
		"<<: [{a: b}, {properties: " + list + "}]":                                `unknown key "<<"`,
		"a: &a {properties: " + list + "}\n  <<: *a":                              `unknown key "<<"`,
		"security.protocol: SSL":                                                  `unknown key "security.protocol"`,
		"ssl.truststore.location:":                                                `unknown key "ssl.truststore.location"`,
		"properties: " + list + "\n  properties: [{client.id: b}]":                `key "properties" is given twice`,
		"properties: [{a: b}]\n  properties: " + list + "\n  properties: []":      `key "properties" is given twice`,
		"properties: [{client.id: a}]\n  properties: " + list:                     "",
		"Properties: [{client.id: a}]":                                            "",
		"<<: {a: b}":                                                              "",
		"note: the topic ssl.events is read, security.protocol see below":         "",
		"properties: " + list + "\n  note: [ssl.events, a security.protocol=SSL]": "",
	} {
		for kind, spec := range map[string]string{
			"io.statefun.kafka.v1/ingress": "id: a/in, address: 'k:1', consumerGroupId: g, topics: [{topic: t, valueType: v, targets: [a/f]}]",
			"io.statefun.kafka.v1/egress":  "id: a/out, address: 'k:1'",
		} {
			text := anEndpoint + "---\n" + anIngress + "---\nkind: " + kind + "\nspec:\n  " + strings.ReplaceAll(spec, ", address", "\n  address")
			text = strings.ReplaceAll(strings.ReplaceAll(text, ", consumerGroupId", "\n  consumerGroupId"), ", topics", "\n  topics") + "\n  " + keys + "\n"
			m, complaints := Parse("f", []byte(text), nil)
			said := complaints.Errors().String()
			if want == "" && m == nil || want != "" && (m != nil || !strings.Contains(said, want) || !strings.Contains(said, "what concerns security is never left out")) {
				t.Errorf("%s with %s: module %v, want an error %q:\n%s", kind, keys, m != nil, want, complaints)
			}
		}
	}
}
