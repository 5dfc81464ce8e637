package aws

import (
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestReading(t *testing.T) {
	for name, c := range map[string]struct {
		value, warning, fail string
		want                 func(s *Settings)
	}{
		"aws.clientconfig.maxConnections":       {value: " 64 ", want: func(s *Settings) { s.Client.MaxConnections = 64 }},
		"aws.clientconfig.connectionTimeout":    {value: "1500", want: func(s *Settings) { s.Client.ConnectTimeout = 1500 * time.Millisecond }},
		"aws.clientconfig.socketTimeout":        {value: "2000", want: func(s *Settings) { s.Client.ReadTimeout = 2 * time.Second }},
		"aws.clientconfig.requestTimeout":       {value: "0", want: func(*Settings) {}},
		"aws.clientconfig.proxyHost":            {value: "proxy", want: func(s *Settings) { s.Client.Proxy.Host = "proxy" }},
		"aws.clientconfig.proxyPort":            {value: "99999", fail: "from 1 to 65535"},
		"aws.clientconfig.proxyPassword":        {value: "pw", want: func(s *Settings) { s.Client.Proxy.Password = "pw" }},
		"aws.clientconfig.proxyDomain":          {value: "x", fail: "NTLM"},
		"aws.clientconfig.proxyProtocol":        {value: "HTTPS", want: func(s *Settings) { s.Client.Proxy.Scheme = "https" }},
		"aws.clientconfig.nonProxyHosts":        {value: "a|*.b", want: func(s *Settings) { s.Client.Proxy.Except = []string{"a", "*.b"} }},
		"aws.clientconfig.protocol":             {value: "Http", warning: "HTTPS is spoken"},
		"AWS.clientconfig.PROTOCOL":             {value: "https", want: func(*Settings) {}},
		"aws.clientconfig.maxErrorRetry":        {value: "3", warning: "tried again"},
		"aws.clientconfig.madeUp":               {value: "3", warning: "no such switch"},
		"aws.credentials.role.arn":              {value: "3", warning: "awsCredentials"},
		"flink.stream.recordpublisher":          {value: "EFO", warning: "fan-out"},
		"flink.stream.efo.consumername":         {value: "EFO", warning: "fan-out"},
		"flink.shard.getrecords.maxrecordcount": {value: "77", want: func(s *Settings) { s.RecordsMax = 77 }},
		"flink.shard.getrecords.backoff.base":   {value: "77", warning: "pauses of its own"},
		"flink.shard.getrecords.intervalmillis": {value: "300", want: func(s *Settings) { s.ReadInterval = 300 * time.Millisecond }},
		"flink.shard.discovery.intervalmillis":  {value: "soon", fail: "want milliseconds"},
		"flink.watermark.lookahead.millis":      {value: "1", warning: "Flink's own"},
		"something.else":                        {value: "1", warning: "not known"},
	} {
		check(t, Reading, name, c.value, c.warning, c.fail, c.want)
	}
}

func TestWriting(t *testing.T) {
	for name, c := range map[string]struct {
		value, warning, fail string
		want                 func(s *Settings)
	}{
		"MaxConnections":        {value: "4", want: func(s *Settings) { s.Client.MaxConnections = 4 }},
		"requestTimeout":        {value: "4000", want: func(s *Settings) { s.Client.RequestTimeout = 4 * time.Second }},
		"CollectionMaxCount":    {value: "501", fail: "from 1 to 500"},
		"CollectionMaxSize":     {value: "60000", want: func(s *Settings) { s.CallBytesMax = 60000 }},
		"VerifyCertificate":     {value: "false", warning: "always verified"},
		"CaCertPath":            {value: "/x", want: func(s *Settings) { s.Client.RootCAs = "/x" }},
		"KinesisEndpoint":       {value: "h.example", fail: "awsRegion"},
		"AggregationEnabled":    {value: "true", warning: "record of its own"},
		"aggregationEnabled":    {value: "false", want: func(*Settings) {}},
		"RecordMaxBufferedTime": {value: "100", warning: "at once"},
		"ProxyPassword":         {value: "pw", want: func(s *Settings) { s.Client.Proxy.Password = "pw" }},
		"FailIfThrottled":       {value: "true", warning: "until it is delivered"},
		"Whatever":              {value: "100", warning: "not known"},
	} {
		check(t, Writing, name, c.value, c.warning, c.fail, c.want)
	}
}

func check(t *testing.T, translate func(map[string]string) (Settings, []string, error), name, value, warning, fail string, want func(s *Settings)) {
	t.Helper()
	got, warnings, err := translate(map[string]string{name: value})
	text := strings.Join(warnings, "\n")
	if err != nil {
		text += err.Error()
	}
	if strings.Contains(text, value) && value != "3" && value != "1" && value != "x" && value != "EFO" {
		t.Errorf("%s: %q shows the value", name, text)
	}
	switch {
	case fail != "":
		if err == nil || !strings.Contains(err.Error(), fail) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v, want %q", name, err, fail)
		}
	case err != nil:
		t.Errorf("%s: %v", name, err)
	case warning != "":
		if len(warnings) != 1 || !strings.Contains(warnings[0], warning) || !strings.Contains(warnings[0], name) {
			t.Errorf("%s: got warnings %q, want %q", name, warnings, warning)
		}
	default:
		var s Settings
		want(&s)
		if !reflect.DeepEqual(got, s) || len(warnings) > 0 {
			t.Errorf("%s: got %+v and %q, want %+v", name, got, warnings, s)
		}
	}
}

func TestProxy(t *testing.T) {
	p := Proxy{Host: "proxy", Port: 3128, User: "u", Password: "p:w", Except: []string{"*.internal", "localhost"}}
	for host, want := range map[string]string{
		"kinesis.eu-central-1.amazonaws.com": "http://u:p%3Aw@proxy:3128", "a.INTERNAL": "", "localhost": "",
	} {
		r, _ := http.NewRequest(http.MethodPost, "https://"+host+":443/", nil)
		u, err := p.of(r)
		got := ""
		if u != nil {
			got = u.String()
		}
		if err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", host, got, err, want)
		}
	}
}

// TestSpelling: whom to trust and which proxy to use is not passed over because of a blank or a sign in the name.
func TestSpelling(t *testing.T) {
	for name, want := range map[string]string{
		"CaCertPath ": "write cacertpath", "ca_cert_path": "write cacertpath", "Ca-Cert-Path": "write cacertpath", "proxy_host": "write proxyhost", "\u200bProxyPassword": "write proxypassword",
		"Kinesis_Endpoint": "write kinesisendpoint",
	} {
		if _, _, err := Writing(map[string]string{name: "/x"}); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", name, err, want)
		}
	}
	for _, name := range []string{"aws.clientconfig.proxy_host", "aws.clientconfig.proxyHost ", "AWS.ClientConfig.Proxy-Port", "aws.clientconfig.local_address"} {
		if _, _, err := Reading(map[string]string{name: "1"}); err == nil || !strings.Contains(err.Error(), "not known") {
			t.Errorf("%q: got %v", name, err)
		}
	}
	for _, name := range []string{"ProxyPassword=CANARY", "CANARY@h", "Max Connections CANARY"} {
		_, warnings, err := Writing(map[string]string{name: "x"})
		if err != nil || len(warnings) != 1 || strings.Contains(warnings[0], "CANARY") {
			t.Errorf("%q: %v, %v", name, warnings, err)
		}
	}
	if _, warnings, err := Writing(map[string]string{"max_connections": "9"}); err != nil || len(warnings) != 1 {
		t.Errorf("another name: %v, %v", warnings, err)
	}
}

// clean takes the machine's own settings away.
func clean(t *testing.T) {
	t.Helper()
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_CA_BUNDLE"} {
		t.Setenv(name, "")
	}
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

func TestLoad(t *testing.T) {
	clean(t)
	profiles := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(profiles, []byte("[etl]\naws_access_key_id = FROMFILE\naws_secret_access_key = filesecret\nregion = eu-west-3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		connection Connection
		env        map[string]string
		key        string // want
		region     string
		endpoint   string
		fail       string
	}{
		"basic":                          {connection: Connection{Region: Region{ID: "eu-central-1"}, Credentials: Credentials{AccessKeyID: "AK", SecretAccessKey: "SK"}}, key: "AK", region: "eu-central-1"},
		"endpoint":                       {connection: Connection{Region: Region{ID: "r", Endpoint: "https://localhost:4567"}, Credentials: Credentials{AccessKeyID: "AK", SecretAccessKey: "SK"}}, key: "AK", region: "r", endpoint: "https://localhost:4567"},
		"profile before the environment": {connection: Connection{Credentials: Credentials{Profile: "etl", ProfilePath: profiles}}, env: map[string]string{"AWS_ACCESS_KEY_ID": "ENV", "AWS_SECRET_ACCESS_KEY": "ENV"}, key: "FROMFILE", region: "eu-west-3"},
		"environment":                    {env: map[string]string{"AWS_ACCESS_KEY_ID": "ENV", "AWS_SECRET_ACCESS_KEY": "ENV", "AWS_REGION": "eu-north-1"}, key: "ENV", region: "eu-north-1"},
		"no region":                      {connection: Connection{Credentials: Credentials{AccessKeyID: "AK", SecretAccessKey: "SK"}}, fail: "region"},
		"no file":                        {connection: Connection{Region: Region{ID: "r"}, Credentials: Credentials{Profile: "etl", ProfilePath: profiles + ".none"}}, fail: "read the profile"},
		"no profile":                     {connection: Connection{Region: Region{ID: "r"}, Credentials: Credentials{Profile: "none", ProfilePath: profiles}}, fail: "none"},
		"no certificates":                {connection: Connection{Region: Region{ID: "r"}, Client: Client{RootCAs: profiles}}, fail: "holds none"},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			got, err := Load(t.Context(), c.connection)
			if c.fail != "" {
				if err == nil || !strings.Contains(err.Error(), c.fail) || strings.Contains(err.Error(), "SK") {
					t.Errorf("got %v, want %q", err, c.fail)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			who, err := got.Credentials.Retrieve(t.Context())
			if err != nil && c.key != "" || who.AccessKeyID != c.key {
				t.Errorf("got key %q, %v, want %q", who.AccessKeyID, err, c.key)
			}
			endpoint := ""
			if got.BaseEndpoint != nil {
				endpoint = *got.BaseEndpoint
			}
			if got.Region != c.region || endpoint != c.endpoint {
				t.Errorf("got %s %s, want %s %s", got.Region, endpoint, c.region, c.endpoint)
			}
		})
	}
}
