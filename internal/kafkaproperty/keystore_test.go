package kafkaproperty

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const made = "../certificate/testdata/made/"

func with(base map[string]string, more ...string) map[string]string {
	all := maps.Clone(base)
	if all == nil {
		all = map[string]string{}
	}
	for i := 0; i+1 < len(more); i += 2 {
		all[more[i]] = more[i+1]
	}
	return all
}

func text(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// ssl are properties of a TLS listener, and more.
func ssl(more ...string) map[string]string {
	return with(map[string]string{"security.protocol": "SSL"}, more...)
}

// TestStores: every form of truststore and keystore, with and without its type.
func TestStores(t *testing.T) {
	folded := strings.ReplaceAll(text(t, made+"ec.pkcs8.key"), "\n", " ")
	for name, c := range map[string]struct {
		properties map[string]string
		trust, own bool
		warning    string
	}{
		"system's":           {properties: ssl()},
		"JKS":                {ssl("ssl.truststore.location", made+"trust.jks", "ssl.truststore.password", "secretsecret"), true, false, ""},
		"JKS unchecked":      {ssl("ssl.truststore.location", made+"trust.jks"), true, false, ""},
		"PKCS12 as JKS":      {ssl("ssl.truststore.location", made+"trust.pkcs12", "ssl.truststore.password", "secretsecret", "ssl.truststore.type", "JKS"), true, false, ""},
		"PKCS12":             {ssl("ssl.truststore.location", made+"trust.pkcs12", "ssl.truststore.password", "secretsecret", "ssl.truststore.type", "PKCS12"), true, false, ""},
		"PEM found":          {ssl("ssl.truststore.location", made+"both.pem"), true, false, ""},
		"PEM":                {ssl("ssl.truststore.location", made+"both.pem", "ssl.truststore.type", "PEM"), true, false, ""},
		"inline":             {ssl("ssl.truststore.certificates", text(t, made+"ca.pem"), "ssl.truststore.type", "PEM"), true, false, ""},
		"inline, folded":     {ssl("ssl.truststore.certificates", strings.ReplaceAll(text(t, made+"both.pem"), "\n", " ")), true, false, ""},
		"keys JKS":           {ssl("ssl.keystore.location", made+"keys.jks", "ssl.keystore.password", "secretsecret"), false, true, ""},
		"keys JKS, two":      {ssl("ssl.keystore.location", made+"keypass.jks", "ssl.keystore.password", "secretsecret", "ssl.key.password", "otherother"), false, true, ""},
		"keys PKCS12":        {ssl("ssl.keystore.location", made+"keys.pkcs12", "ssl.keystore.password", "secretsecret"), false, true, ""},
		"keys PKCS12, twice": {ssl("ssl.keystore.location", made+"keys.pkcs12", "ssl.keystore.password", "secretsecret", "ssl.key.password", "secretsecret"), false, true, ""},
		"keys PEM":           {ssl("ssl.keystore.location", made+"ec.all.pem", "ssl.keystore.type", "pem"), false, true, ""},
		"keys inline":        {ssl("ssl.keystore.certificate.chain", text(t, made+"ec.chain.pem"), "ssl.keystore.key", folded), false, true, ""},
		"keys encrypted":     {ssl("ssl.keystore.certificate.chain", text(t, made+"rsa.pem"), "ssl.keystore.key", text(t, made+"rsa.pbes2.key"), "ssl.key.password", "secret"), false, true, ""},
		"password of none":   {ssl("ssl.truststore.password", "secretsecret"), false, false, "no effect without ssl.truststore.location"},
		"key pw of none":     {ssl("ssl.key.password", "secretsecret"), false, false, "no effect without ssl.keystore.location"},
		"TLS not asked for":  {map[string]string{"ssl.truststore.location": "/no/such/file"}, false, false, "security.protocol is PLAINTEXT"},
	} {
		s, complaints := Translate(Consumer, c.properties)
		if err := Errors(complaints); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		warned := strings.Join(Warnings(complaints), "\n")
		if !strings.Contains(warned, c.warning) || c.warning == "" && warned != "" {
			t.Errorf("%s: warnings %q, want ...%s...", name, warned, c.warning)
		}
		if c.properties["security.protocol"] == "" {
			continue
		}
		if s.TLS == nil || (s.TLS.config.RootCAs != nil) != c.trust || (len(s.TLS.config.Certificates) > 0) != c.own {
			t.Errorf("%s: truststore %v, certificates %d", name, s.TLS.config.RootCAs != nil, len(s.TLS.config.Certificates))
		}
	}
}

// TestWrongStores: each fault of a store is told at its property, with the file's name and without a secret.
func TestWrongStores(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.jks")
	if err := os.WriteFile(broken, []byte(text(t, made+"trust.jks")[:300]), 0o600); err != nil {
		t.Fatal(err)
	}
	nonsense := filepath.Join(dir, "nonsense")
	if err := os.WriteFile(nonsense, []byte("hunter2hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	const trust, key = "ssl.truststore.location", "ssl.keystore.location"
	for name, c := range map[string]struct {
		properties     map[string]string
		property, want string
	}{
		"missing":          {ssl(trust, "/no/such/file"), trust, "/no/such/file: no such file"},
		"folder":           {ssl(trust, dir), trust, "is a directory"},
		"no name":          {ssl(trust, ""), trust, "want the name of a file"},
		"PEM as name":      {ssl(key, text(t, made+"ec.pkcs8.key")), key, "not what is in it"},
		"PEM as name, one": {ssl(key, strings.ReplaceAll(text(t, made+"ec.pkcs8.key"), "\n", " ")), key, "not what is in it"},
		"broken":           {ssl(trust, broken, "ssl.truststore.password", "secretsecret"), trust, broken},
		"nonsense":         {ssl(trust, nonsense), trust, "neither a JKS nor a PKCS12 nor a PEM file"},
		"JKS password":     {ssl(trust, made+"trust.jks", "ssl.truststore.password", "hunter2hunter2"), trust, "password does not fit"},
		"PKCS12 password":  {ssl(trust, made+"trust.pkcs12", "ssl.truststore.password", "hunter2hunter2"), trust, "password does not fit"},
		"JKS, empty":       {ssl(trust, made+"trust.jks", "ssl.truststore.password", ""), "ssl.truststore.password", "it is empty"},
		"PKCS12, empty":    {ssl(trust, made+"trust.pkcs12", "ssl.truststore.password", ""), trust, "password does not fit"},
		"keys JKS, empty":  {ssl(key, made+"keys.jks", "ssl.keystore.password", ""), key, "password does not fit"},
		"key of PKCS12":    {ssl(key, made+"keys.pkcs12", "ssl.keystore.password", "secretsecret", "ssl.key.password", "hunter2hunter2"), "ssl.key.password", "differs from ssl.keystore.password"},
		"no key of PKCS12": {ssl(key, made+"keys.pkcs12", "ssl.keystore.password", "secretsecret", "ssl.key.password", ""), "ssl.key.password", "differs from ssl.keystore.password"},
		"JCEKS":            {ssl(trust, made+"trust.jceks", "ssl.truststore.password", "secretsecret"), trust, "JCEKS"},
		"type":             {ssl(trust, made+"trust.jks", "ssl.truststore.type", "BCFKS"), "ssl.truststore.type", "want JKS, PKCS12 or PEM"},
		"type PEM":         {ssl(trust, made+"trust.jks", "ssl.truststore.type", "PEM"), "ssl.truststore.type", "no PEM file"},
		"type JKS":         {ssl(trust, made+"ca.pem", "ssl.truststore.type", "JKS"), "ssl.truststore.type", "want type PEM"},
		"PEM password":     {ssl(trust, made+"ca.pem", "ssl.truststore.password", "hunter2hunter2"), "ssl.truststore.password", "a PEM truststore has none"},
		"no certificate":   {ssl(trust, made+"ec.pkcs8.key"), trust, made},
		"inline no PEM":    {ssl("ssl.truststore.certificates", "hunter2hunter2"), "ssl.truststore.certificates", "certificate"},
		"inline type":      {ssl("ssl.truststore.certificates", text(t, made+"ca.pem"), "ssl.truststore.type", "JKS"), "ssl.truststore.type", "must be PEM"},
		"inline and file":  {ssl("ssl.truststore.certificates", text(t, made+"ca.pem"), trust, made+"ca.pem"), "ssl.truststore.certificates", "cannot stand beside"},
		"key password":     {ssl(key, made+"keypass.jks", "ssl.keystore.password", "secretsecret", "ssl.key.password", "hunter2hunter2"), key, "password does not fit"},
		"store, no key":    {ssl(key, made+"trust.jks", "ssl.keystore.password", "secretsecret"), key, "trust store"},
		"keys PEM pw":      {ssl(key, made+"ec.all.pem", "ssl.keystore.password", "hunter2hunter2"), "ssl.keystore.password", "ssl.key.password is that"},
		"chain alone":      {ssl("ssl.keystore.certificate.chain", text(t, made+"ec.chain.pem")), "ssl.keystore.certificate.chain", "want ssl.keystore.key"},
		"key alone":        {ssl("ssl.keystore.key", text(t, made+"ec.pkcs8.key")), "ssl.keystore.key", "want ssl.keystore.certificate.chain"},
		"not a pair":       {ssl("ssl.keystore.certificate.chain", text(t, made+"ec.pem"), "ssl.keystore.key", text(t, made+"rsa.pkcs8.key")), "ssl.keystore.certificate.chain", "key"},
		"encrypted, wrong": {ssl("ssl.keystore.certificate.chain", text(t, made+"rsa.pem"), "ssl.keystore.key", text(t, made+"rsa.pbes2.key"), "ssl.key.password", "hunter2hunter2"), "ssl.keystore.certificate.chain", "password"},
		"manager":          {ssl("ssl.keymanager.algorithm", "NewSunX510"), "ssl.keymanager.algorithm", "want PKIX"},
		"identification":   {ssl("ssl.endpoint.identification.algorithm", "LDAPS"), "ssl.endpoint.identification.algorithm", "want https"},
		"versions":         {ssl("ssl.enabled.protocols", "SSLv3"), "ssl.enabled.protocols", "want some of"},
		"versions, gap":    {ssl("ssl.enabled.protocols", "TLSv1.1,TLSv1.3"), "ssl.enabled.protocols", "none left out"},
		"version":          {ssl("ssl.protocol", "SSL"), "ssl.protocol", "want TLSv1.3"},
		"version too old":  {ssl("ssl.protocol", "TLSv1.1"), "ssl.protocol", "older than each"},
		"suites":           {ssl("ssl.cipher.suites", "NO_SUCH"), "ssl.cipher.suites", "none of its suites"},
		"one of 1.3":       {ssl("ssl.cipher.suites", "TLS_AES_256_GCM_SHA384"), "ssl.cipher.suites", "one by one"},
		"1.2 of 1.3":       {ssl("ssl.cipher.suites", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ssl.enabled.protocols", "TLSv1.3"), "ssl.cipher.suites", "allows nothing else"},
		"provider":         {ssl("ssl.provider", "hunter2"), "ssl.provider", "Go's own"},
	} {
		_, complaints := Translate(Producer, c.properties)
		found := false
		for _, said := range complaints {
			found = found || said.Wrong && said.Property == c.property && strings.Contains(said.Text, c.want)
			if strings.Contains(said.Text, "hunter2") || strings.Contains(said.Text, "secretsecret") || strings.Contains(said.Text, "PRIVATE KEY-----") {
				t.Errorf("%s: %q tells a secret", name, said.Text)
			}
		}
		if !found {
			t.Errorf("%s: %v, want an error of %s: ...%s...", name, complaints, c.property, c.want)
		}
	}
}
