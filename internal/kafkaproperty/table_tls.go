package kafkaproperty

const brokersOnly = "it is for brokers"

// tlsProperties are read together, in tls.go and keystore.go.
var tlsProperties = []property{
	{name: "security.protocol", role: both, does: "`PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`"},
	{name: "ssl.truststore.location", role: both, does: "whom to trust: a file of type JKS, PKCS12 or PEM. Without any truststore: the system's authorities"},
	{name: "ssl.truststore.password", role: both, does: "of a JKS or PKCS12 file"},
	{name: "ssl.truststore.type", role: both, does: "`JKS`, `PKCS12` or `PEM`; without it the file itself tells"},
	{name: "ssl.truststore.certificates", role: both, does: "PEM text instead of a file"},
	{name: "ssl.keystore.location", role: both, does: "the client's own certificate and key: a file of type JKS, PKCS12 or PEM"},
	{name: "ssl.keystore.password", role: both, does: "of a JKS or PKCS12 file"},
	{name: "ssl.keystore.type", role: both, does: "`JKS`, `PKCS12` or `PEM`; without it the file itself tells"},
	{name: "ssl.keystore.certificate.chain", role: both, does: "PEM text instead of a file"},
	{name: "ssl.keystore.key", role: both, does: "PEM text of the key, PKCS#8, plain or encrypted"},
	{name: "ssl.key.password", role: both, does: "of the key; without it that of the keystore"},
	{name: "ssl.endpoint.identification.algorithm", role: both, does: "`https` (the default): the broker's certificate must be for its host name. Empty: it need not, with a warning"},
	{name: "ssl.enabled.protocols", role: both, does: "`TLSv1` to `TLSv1.3`, without a gap; TLSv1.2 and TLSv1.3 without it"},
	{name: "ssl.protocol", role: both, does: "the newest version that is spoken: `TLSv1.3`, `TLSv1.2`, `TLSv1.1`, `TLSv1`, or `TLS` for any"},
	{name: "ssl.cipher.suites", role: both, does: "of TLS 1.2 and before, by name; those of TLS 1.3 only all three together"},
	{name: "ssl.keymanager.algorithm", role: both, does: "only `SunX509` and `PKIX`, the usual ones"},
	{name: "ssl.trustmanager.algorithm", role: both, does: "only `PKIX` and `SunX509`, the usual ones"},

	{name: "security.providers", role: both, refused: "no Java class is loaded"},
	{name: "ssl.provider", role: both, refused: "TLS is Go's own; leave it out"},
	{name: "ssl.secure.random.implementation", role: both, refused: "random numbers are the system's; leave it out"},
	{name: "ssl.engine.factory.class", role: both, refused: "no Java class is loaded"},
	{name: "ssl.client.auth", role: both, refused: brokersOnly},
	{name: "ssl.principal.mapping.rules", role: both, refused: brokersOnly},
}
