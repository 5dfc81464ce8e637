// Package aws says who asks AWS, where, and through which HTTP client, as module.yaml has it: awsRegion, awsCredentials and
// clientConfigProperties, whose names are those of the Java libraries. It asks no service anything but for credentials and a
// region, and it shows no secret.
package aws

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
)

// Region says where the streams are. Without ID it is found as the AWS libraries find it: environment, profile, the instance.
type Region struct {
	ID       string
	Endpoint string // https URL that is asked instead of the region's own; "": that one
}

// Credentials says who asks. The zero value finds them as the AWS libraries do.
type Credentials struct {
	AccessKeyID     string // with SecretAccessKey: these
	SecretAccessKey Secret
	Profile         string // else this profile
	ProfilePath     string // of this file; "": where the AWS libraries look
}

// Secret is text that shows itself nowhere by accident.
type Secret string

func (Secret) String() string   { return "***" }
func (Secret) GoString() string { return `"***"` }

// Connection is all that a client needs.
type Connection struct {
	Region      Region
	Credentials Credentials
	Client      Client
}

// Client is the HTTP side of the settings. The zero value has the defaults of the AWS libraries.
type Client struct {
	ConnectTimeout time.Duration // of a TCP connection; default 10 s
	RequestTimeout time.Duration // of one request with its answer; default 30 s
	ReadTimeout    time.Duration // without a byte of the answer; 0: as the AWS libraries have it
	MaxConnections int           // to one host; default 50
	IdleMax        time.Duration // that an unused connection is kept; default 60 s
	Proxy          Proxy
	RootCAs        string // PEM file of the authorities to trust; "": the system's, or AWS_CA_BUNDLE
}

// Proxy is an HTTP proxy. Without Host it is the environment's, if that names one.
type Proxy struct {
	Scheme   string // default http
	Host     string
	Port     int // default: the scheme's
	User     string
	Password Secret
	Except   []string // host names that are reached without it; '*' stands for anything
}

// Defaults of a Client.
const (
	connectTimeoutDefault = 10 * time.Second
	requestTimeoutDefault = 30 * time.Second
	maxConnectionsDefault = 50
	idleMaxDefault        = time.Minute
)

// Load finds region and credentials and answers what a service's client is made of. It may ask the instance's metadata service.
// Requests are not repeated by the client: who calls knows better what to do, and for how long.
func Load(ctx context.Context, c Connection) (sdk.Config, error) {
	client, err := c.Client.build()
	if err != nil {
		return sdk.Config{}, err
	}
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(client),
		config.WithRetryer(func() sdk.Retryer { return sdk.NopRetryer{} }),
	}
	if c.Region.ID != "" {
		options = append(options, config.WithRegion(c.Region.ID))
	} else {
		options = append(options, config.WithEC2IMDSRegion(func(o *config.UseEC2IMDSRegion) { o.Client = imds.New(imds.Options{}) }))
	}
	switch who := c.Credentials; {
	case who.AccessKeyID != "":
		options = append(options, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(who.AccessKeyID, string(who.SecretAccessKey), "")))
	case who.Profile != "":
		options = append(options, config.WithSharedConfigProfile(who.Profile))
		if who.ProfilePath != "" {
			if _, err := os.Stat(who.ProfilePath); err != nil {
				return sdk.Config{}, fmt.Errorf("read the profile: %w", err)
			}
			files := []string{who.ProfilePath}
			options = append(options, config.WithSharedCredentialsFiles(files), config.WithSharedConfigFiles(files))
		}
	}
	out, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return sdk.Config{}, fmt.Errorf("find region and credentials: %w", err)
	}
	if out.Region == "" {
		return sdk.Config{}, errors.New("no region: write awsRegion into the module, or set AWS_REGION")
	}
	if c.Region.Endpoint != "" {
		out.BaseEndpoint = sdk.String(c.Region.Endpoint)
	}
	return out, nil
}

// build makes the HTTP client. It stays buildable: AWS_CA_BUNDLE is added to it by the library.
func (c *Client) build() (*awshttp.BuildableClient, error) {
	set := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	own := *c
	set(&own.ConnectTimeout, connectTimeoutDefault)
	set(&own.RequestTimeout, requestTimeoutDefault)
	set(&own.IdleMax, idleMaxDefault)
	if own.MaxConnections <= 0 {
		own.MaxConnections = maxConnectionsDefault
	}
	var roots *x509.CertPool
	if own.RootCAs != "" {
		text, err := os.ReadFile(own.RootCAs)
		if err != nil {
			return nil, fmt.Errorf("read certificates: %w", err)
		}
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("read certificates: %s holds none", own.RootCAs)
		}
	}
	client := awshttp.NewBuildableClient()
	if own.ReadTimeout > 0 {
		client = client.WithReadTimeout(own.ReadTimeout)
	}
	return client.WithTimeout(own.RequestTimeout).
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = own.ConnectTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.MaxConnsPerHost, t.MaxIdleConnsPerHost = own.MaxConnections, own.MaxConnections
			t.IdleConnTimeout = own.IdleMax
			if own.Proxy.Host != "" {
				t.Proxy = own.Proxy.of
			}
			if roots != nil {
				t.TLSClientConfig.RootCAs = roots
			}
		}), nil
}

// of answers the proxy for a request (http.Transport.Proxy).
func (p *Proxy) of(r *http.Request) (*url.URL, error) {
	host := strings.ToLower(r.URL.Hostname())
	for _, pattern := range p.Except {
		if ok, err := path.Match(strings.ToLower(pattern), host); ok && err == nil {
			return nil, nil
		}
	}
	return p.url(), nil
}

func (p *Proxy) url() *url.URL {
	u := &url.URL{Scheme: "http", Host: p.Host}
	if p.Scheme != "" {
		u.Scheme = p.Scheme
	}
	if p.Port > 0 {
		u.Host = net.JoinHostPort(p.Host, fmt.Sprint(p.Port))
	}
	if p.User != "" {
		u.User = url.UserPassword(p.User, string(p.Password))
	}
	return u
}
