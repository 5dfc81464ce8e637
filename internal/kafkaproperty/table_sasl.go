package kafkaproperty

const (
	kerberos  = "GSSAPI (Kerberos) is not supported: log in with SCRAM, PLAIN or OAUTHBEARER"
	assertion = "the grant by assertion is not supported: let the token endpoint take client id and secret, or read tokens from a file"
)

// saslProperties are read together, in sasl.go and oauth.go.
var saslProperties = []property{
	{name: "sasl.mechanism", role: both, does: "`PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` or `OAUTHBEARER`; Java's default, GSSAPI, is refused"},
	{name: "sasl.jaas.config", role: both, does: "login module and its options: `PlainLoginModule`, `ScramLoginModule` or `OAuthBearerLoginModule`"},
	{name: "sasl.login.callback.handler.class", role: both, does: "only Kafka's own `OAuthBearerLoginCallbackHandler` and `OAuthBearerUnsecuredLoginCallbackHandler`"},
	{name: "sasl.oauthbearer.token.endpoint.url", role: both, does: "where tokens are fetched with client id and secret (https, http), or read (file)"},
	{name: "sasl.oauthbearer.client.credentials.client.id", role: both, does: "client id; or `clientId` in sasl.jaas.config"},
	{name: "sasl.oauthbearer.client.credentials.client.secret", role: both, does: "client secret; or `clientSecret` in sasl.jaas.config"},
	{name: "sasl.oauthbearer.scope", role: both, does: "scope that is asked for; or `scope` in sasl.jaas.config"},
	{name: "sasl.oauthbearer.header.urlencode", role: both, does: "whether id and secret are encoded in the header (RFC 6749); `false` without it"},
	{name: "sasl.oauthbearer.jwt.retriever.class", role: both, does: "only Kafka's `DefaultJwtRetriever`, `ClientCredentialsJwtRetriever` and `FileJwtRetriever`"},
	{name: "sasl.oauthbearer.jwt.validator.class", role: both, does: "only Kafka's `DefaultJwtValidator` and `ClientJwtValidator`: the broker judges a token"},
	{name: "sasl.login.connect.timeout.ms", role: both, does: "how long a connection to the token endpoint may take; 10 s without it"},
	{name: "sasl.login.read.timeout.ms", role: both, does: "how long its answer may take; 10 s without it"},
	{name: "sasl.login.retry.backoff.ms", role: both, does: "how long a token endpoint that failed is left alone, doubling each time; 100 ms without it"},
	{name: "sasl.login.retry.backoff.max.ms", role: both, does: "how long it is left alone at most; 10 s without it"},
	{name: "sasl.login.refresh.window.factor", role: both, does: "after which part of its life a token is replaced, at the next login; 0.8 without it"},
	{name: "sasl.login.refresh.window.jitter", role: both, does: "which random part of its life may pass beyond that; 0.05 without it"},
	{name: "sasl.login.refresh.min.period.seconds", role: both, does: "how old a token gets at least before it is replaced; 60 without it"},
	{name: "sasl.login.refresh.buffer.seconds", role: both, does: "how long before its end a token is replaced at the latest; 300 without it"},

	{name: "sasl.client.callback.handler.class", role: both, refused: "no Java class is loaded"},
	{name: "sasl.login.class", role: both, refused: "no Java class is loaded"},
	{name: "sasl.kerberos.service.name", role: both, refused: kerberos},
	{name: "sasl.kerberos.kinit.cmd", role: both, refused: kerberos},
	{name: "sasl.kerberos.ticket.renew.window.factor", role: both, refused: kerberos},
	{name: "sasl.kerberos.ticket.renew.jitter", role: both, refused: kerberos},
	{name: "sasl.kerberos.min.time.before.relogin", role: both, refused: kerberos},
	{name: "sasl.oauthbearer.assertion.algorithm", role: both, refused: assertion},
	{name: "sasl.oauthbearer.assertion.claim.aud", role: both, refused: assertion},
	{name: "sasl.oauthbearer.assertion.claim.exp.seconds", role: both, refused: assertion},
	{name: "sasl.oauthbearer.assertion.claim.iss", role: both, refused: assertion},
	{name: "sasl.oauthbearer.assertion.claim.jti.include", role: both, refused: assertion},
	{name: "sasl.oauthbearer.assertion.claim.nbf.seconds", role: both, refused: assertion},
	{name: "sasl.oauthbearer.assertion.claim.sub", role: both, refused: assertion},
	{name: "sasl.oauthbearer.assertion.file", role: both, refused: assertion},
	{name: "sasl.oauthbearer.assertion.private.key.file", role: both, refused: assertion},
	{name: "sasl.oauthbearer.assertion.private.key.passphrase", role: both, refused: assertion},
	{name: "sasl.oauthbearer.assertion.template.file", role: both, refused: assertion},
	{name: "sasl.oauthbearer.clock.skew.seconds", role: both, refused: brokersOnly},
	{name: "sasl.oauthbearer.expected.audience", role: both, refused: brokersOnly},
	{name: "sasl.oauthbearer.expected.issuer", role: both, refused: brokersOnly},
	{name: "sasl.oauthbearer.jwks.endpoint.refresh.ms", role: both, refused: brokersOnly},
	{name: "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", role: both, refused: brokersOnly},
	{name: "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", role: both, refused: brokersOnly},
	{name: "sasl.oauthbearer.jwks.endpoint.url", role: both, refused: brokersOnly},
	{name: "sasl.oauthbearer.scope.claim.name", role: both, refused: brokersOnly},
	{name: "sasl.oauthbearer.sub.claim.name", role: both, refused: brokersOnly},
	{name: "sasl.enabled.mechanisms", role: both, refused: "it is for brokers; write sasl.mechanism"},
}
