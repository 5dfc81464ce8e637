package kafkaproperty

import (
	"strings"
	"testing"
)

// FuzzSecurity: whatever stands in the properties of a secured listener, it is read or refused at a property, in a line that repeats
// none of it but the name of a file.
func FuzzSecurity(f *testing.F) {
	f.Add(uint8(0), uint8(0), userOf(plainModule), "hunter2", "JKS", "TLSv1.2")
	f.Add(uint8(2), uint8(0), userOf(plainModule), "", "", "")
	f.Add(uint8(1), uint8(1), userOf(scramModule), "-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----", "PEM", "TLSv1.3,TLSv1.2")
	f.Add(uint8(2), uint8(2), oauthModule+` required clientId="a" clientSecret="hunter2" ssl.truststore.certificates="hunter2";`, "", "PKCS12", "TLS")
	f.Add(uint8(3), uint8(3), oauthModule+` required unsecuredLoginStringClaim_sub="hunter2" unsecuredLoginListClaim_x="";`, "-----BEGIN ", "", "SSLv3")
	protocols := []string{"SASL_SSL", "SSL", "SASL_PLAINTEXT", "PLAINTEXT"}
	mechanisms := []string{"PLAIN", "SCRAM-SHA-256", "OAUTHBEARER", "GSSAPI"}
	f.Fuzz(func(t *testing.T, protocol, mechanism uint8, config, pem, kind, versions string) {
		const marker = "hunter2"
		s, complaints := Translate(Producer, map[string]string{
			"security.protocol": protocols[int(protocol)%len(protocols)], "sasl.mechanism": mechanisms[int(mechanism)%len(mechanisms)], "sasl.jaas.config": config,
			"ssl.truststore.certificates": marker + pem, "ssl.truststore.type": kind, "ssl.keystore.certificate.chain": pem + marker, "ssl.keystore.key": marker + pem,
			"ssl.key.password": marker, "ssl.enabled.protocols": versions, "ssl.protocol": marker + versions, "ssl.cipher.suites": marker + "," + versions,
			"sasl.oauthbearer.token.endpoint.url": "https://" + marker + "/" + kind, "sasl.login.callback.handler.class": marker + kind,
		})
		for _, c := range complaints {
			named := strings.TrimPrefix(c.Text, "property "+c.Property)
			if c.Property == "" || named == c.Text || len(c.Text) > 2000 {
				t.Errorf("%+v names no property, or is long", c)
			}
			if strings.Contains(named, marker) && !strings.Contains(config, "location") {
				t.Errorf("%q repeats what is written", c.Text)
			}
		}
		if Errors(complaints) == nil && (s.SASL != nil) != strings.HasPrefix(protocols[int(protocol)%len(protocols)], "SASL") {
			t.Errorf("nothing is wrong and nobody logs in: %v", complaints)
		}
	})
}
