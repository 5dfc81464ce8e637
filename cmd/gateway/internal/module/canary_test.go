package module

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// canary stands where a secret may stand, or a part of one.
const canary = "CANARYx9"

// TestNoComplaintShowsASecret loads modules in which something is wrong near a password, and looks for it in all that is said of them.
func TestNoComplaintShowsASecret(t *testing.T) {
	modules := canaries()
	if len(modules) < 180 {
		t.Errorf("%d modules", len(modules))
	}
	lookup := func(name string) (string, bool) {
		value, ok := map[string]string{"SECRET": "http://u:" + canary + "@p: 1", "WORD": canary}[name]
		return value, ok
	}
	file := filepath.Join(t.TempDir(), "module.yaml")
	for name, text := range modules {
		if !strings.Contains(text, canary) && !strings.Contains(text, "${SECRET") && !strings.Contains(text, "${WORD") {
			t.Errorf("%s: there is no canary in it", name)
		}
		put(t, file, text)
		m, complaints := Load(file, lookup)
		said := complaints.String()
		if m != nil {
			said += m.Summary() + shownEffective(m)
			kept, err := json.Marshal(m.Snapshot("salt"))
			if err != nil {
				t.Fatal(err)
			}
			said += string(kept)
			for i := range m.Endpoints {
				said += m.Endpoints[i].Fault
			}
		}
		if strings.Contains(strings.ToLower(said), strings.ToLower(canary)) { // a scheme is told in small letters
			t.Errorf("%s: a secret is shown:\n%s", name, said)
		}
	}
}

func canaries() map[string]string {
	all := map[string]string{}
	for _, text := range slipped {
		all["property "+text] = canaryKafka("- client.id: a\n    "+text, "k:1")
		all["client property "+text] = canaryKinesis("clientConfigProperties:\n    " + text)
	}
	for _, name := range []string{
		"security.protocol", "sasl.mechanism", "ssl.truststore.certificates", "ssl.keystore.key", "ssl.cipher.suites", "ssl.protocol",
		"ssl.truststore.password", "ssl.keystore.password", "ssl.key.password", "sasl.oauthbearer.client.credentials.client.secret", "client.id", "acks",
	} {
		for _, value := range []string{"%s", `"-----BEGIN PRIVATE KEY-----\n%s"`, "{a: %s}", "[%s]", "${A:+%s}", "!%s"} {
			all[name+" "+value] = canaryKafka(fmt.Sprintf("- %s: "+value, name, canary), "k:1")
		}
	}
	for _, address := range []string{"u:%s@h:9092", "SASL_SSL://u:%s@h:9092", "h:1,u:%s@h:1", "http://h:1/?%s", "${SECRET}"} {
		all["address "+address] = canaryKafka("- a: b", withCanary(address))
	}
	for _, u := range canaryURLs {
		all["URL "+u] = canaryEndpoint(withCanary(u), "call: 1s")
		all["URL after a placeholder "+u] = canaryEndpoint("${UNSET:-"+withCanary(u)+"}", "call: x")
		all["proxy "+u] = canaryEndpoint("https://h/", `proxy: "`+withCanary(u)+`"`)
		all["key "+u] = canaryEndpoint("https://h/", `"proxy=`+withCanary(u)+`": x`)
		all["other key "+u] = canaryEndpoint("https://h/", `http_proxy: "`+withCanary(u)+`"`)
	}
	for _, u := range []string{
		"${WORD}", "${WORD}://h/", "${WORD}:80/x", "${WORD}+unix:///x.sock", "http://h:${WORD}/", "http://[${WORD}]/", "http://${WORD}%zz/", "http://h/{${WORD}}", "${WORD}{function.name}://h/",
		"http+unix://${WORD}/x.sock", "http+unix:///${WORD}", "http://h/%z${WORD}",
	} {
		all["URL with a variable "+u] = canaryEndpoint(u, "call: 1s")
		all["proxy with a variable "+u] = canaryEndpoint("https://h/", `proxy: "`+u+`"`)
	}
	for _, keys := range []string{"Properties: [{sasl.jaas.config: %s}]", `<<: {properties: "ssl.key.password=%s"}`, "sasl.jaas.config: %s", `sasl.jaas.config=%s: x`, "propertys: {ssl.keystore.key: %s}"} {
		all["in the spec "+keys] = canaryKafka("- a: b\n  "+withCanary(keys), "k:1")
	}
	for _, option := range []string{
		"proxy: http://u:a,%s@p:1", "proxy: http://u:a,%s,b@p:1", `proxy: ["http://u:%s@p:1"]`, `proxy: {http://u: "%s@p"}`, "proxy: ${SECRET}", `proxy: "${SECRET}"`,
		`proxy: "http://${SECRET:-u}:p@h:x"`, "client_key_password: [%s]", "client_key_password: {%s: a}", "client_key_password: a,%s", "client_key: /a, password=%s: x", "call: ${UNSET:-%s}",
		"http2: ${SECRET}", "type: ${UNSET:-%s}",
	} {
		all["transport "+option] = canaryEndpoint("https://h/", withCanary(option))
	}
	for _, keys := range []string{
		"awsCredentials: %s", "awsCredentials: {type: %s}", "awsCredentials: {type: basic, accessKeyId: a, secretAccessKey: [%s]}", "awsCredentials: [%s]",
		"awsCredentials: {type: basic, accessKeyId: a, secretAccessKey: b,%s}", "awsCredentials: {type: basic, accessKeyId: a, secretAccesKey: %s}",
		"awsCredentials: {type: basic, secretAccessKey: %s}", "awsCredentials: {type: default, secretAccessKey: %s}",
		`awsRegion: {type: custom-endpoint, id: a, endpoint: "http://u:%s@h"}`, `awsRegion: {type: custom-endpoint, id: a, endpoint: "u:%s@h"}`,
	} {
		all["kinesis "+keys] = canaryKinesis(withCanary(keys))
	}
	return all
}

// slipped are items of properties in which a value is where none belongs.
var slipped = withCanaries(
	`- {sasl.jaas.config: org.P required username="u", password="%s";}`,
	`- {sasl.jaas.config: org.P required username="u", password: %s}`,
	`- {ssl.key.password: a,%s}`, `- {ssl.key.password: a,%s: b}`, `- {client.id: a,%s}`, `- {client.id: a, b, %s@c}`,
	`- sasl.jaas.config=org password="%s";`, `- ssl.key.password=%s:`, `- ssl.key.password=%s: x`, `- ssl.key.password=%s: [x]`, `- ssl.key.password:%s: x`, `- "ssl.key.password %s": {a: b}`,
	"- sasl.jaas.config: >\n    org.P required password=\"%s\";", "- sasl.jaas.config:\torg.P required\tpassword=\"%s: x\";", `- sasl.jaas.config: org.P required password="%s: x";`,
	`- sasl.jaas.config: !!int "%s"`, `- sasl.jaas.config: !%s x`, `- sasl.jaas.config: *%s`, `- sasl.jaas.config: &%s`, `- sasl.jaas.config: !!binary %s`, `- sasl.jaas.config: !!null %s`,
	`- <<: %s`, `- <<: {%s: x}`, `- sasl.jaas.config: {username: u, password: %s}`, `- sasl.jaas.config: [%s]`, "- sasl.jaas.config: x\n      %s: y", "- client.id: x\n      %s: y", "- ? [%s]\n      : x",
	`- sasl.jaas.config: org.P required password="pa${ %s";`, `- sasl.jaas.config: org.P required password="${a b-%s}";`,
	`- sasl.jaas.config: org.P required password="${A-%s}";`, `- sasl.jaas.config: org.P required password="${A:=%s}";`, `- sasl.jaas.config: org.P required password="${A:?%s}";`,
	`- sasl.jaas.config: [ "${UNSET:-%s}" ]`, `- ssl.endpoint.identification.algorithm: "${EMPTY:-${X+%s}}"`,
	`- %s`, `- password=%s`, `- [password, %s]`, `- "a: %s"`, `- "ssl.key.password`+"\\n"+`%s":`,
)

var canaryURLs = []string{
	"http://u:%s@h/", "http://u:%s@h:99999/", "http://u:%s@{function.name}/", "ftp://u:%s@h/", "http://u:%s%%zz@h/", "http://u:a/%s@h/", "http://u:a#%s@h/", "http://u:%s@/",
	"http+unix://u:%s@h/x", "http://u:%s@h/{function.name}/{x}", "http://u:%s@h x/", "u:%s@h:80", "http:u:%s@h", "http:/u:%s@h", "//u:%s@h/", "u:a/%s@h:80", "u:%s@http://h/", "a=http://u:%s@h/",
	"http://h/?token=%s", "h/?token=%s", "h:80/x?%s", "http://u:a?%s@h/", "http://u:a b%s@h/", "http://u:%s@h@i/", "http://u:ab[%s@h/", "http://u:a@%s@h/",
}

func withCanary(form string) string {
	return strings.ReplaceAll(strings.ReplaceAll(form, "%s", canary), "%%", "%")
}

func withCanaries(forms ...string) (out []string) {
	for _, f := range forms {
		out = append(out, withCanary(f))
	}
	return out
}

func canaryEndpoint(template, option string) string {
	return "kind: io.statefun.endpoints.v2/http\nspec:\n  functions: a/*\n  urlPathTemplate: \"" + template + "\"\n  transport: {" + option + "}\n---\n" +
		"kind: io.statefun.playground.v1/ingress\nspec: {port: 8090}\n"
}

func canaryKafka(properties, address string) string {
	return canaryEndpoint("http://h/", "call: 1s") + "---\nkind: io.statefun.kafka.v1/egress\nspec:\n  id: a/out\n  address: \"" + address + "\"\n  properties:\n    " + properties + "\n"
}

func canaryKinesis(keys string) string {
	return canaryEndpoint("http://h/", "call: 1s") + "---\nkind: io.statefun.kinesis.v1/egress\nspec:\n  id: a/out\n  " + keys + "\n"
}
