//go:build unix

package testserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// KinesisVersion is the release of the stand-in that tests run against. It is the default of scripts/kinesis.sh.
const KinesisVersion = "0.6.2"

// KinesisServer is a stand-in for Amazon Kinesis: kinesis-mock, which keeps streams in memory. It has sequence numbers, iterators and
// shards with parents as the service has them; limits of throughput and size, and the end of retention, it has not. It takes
// any credentials.
type KinesisServer struct {
	*server
	addr  string
	roots *x509.CertPool
}

// StartKinesis starts one and answers when it serves. The error is ErrAbsent when it or Node.js is not installed.
func StartKinesis() (*KinesisServer, error) {
	main, node, err := findKinesis()
	if err != nil {
		return nil, err
	}
	s, err := newServer("kinesis", "kinesis-mock "+KinesisVersion, "Starting Kinesis Plain Mock Service", syscall.SIGKILL)
	if err != nil {
		return nil, err
	}
	k := &KinesisServer{server: s}
	certificate := filepath.Join(s.folder.path, "server.json")
	if k.roots, err = writeCertificate(certificate, k.Roots()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	var plain int
	s.command = func() *exec.Cmd {
		c := exec.Command(node, main)
		c.Dir = s.folder.path
		_, port, _ := net.SplitHostPort(k.addr)
		c.Env = append(os.Environ(), "KINESIS_MOCK_TLS_PORT="+port, fmt.Sprintf("KINESIS_MOCK_PLAIN_PORT=%d", plain), "KINESIS_MOCK_CERT_PATH="+certificate,
			"LOG_LEVEL=INFO", "SHARD_LIMIT=1000", "CREATE_STREAM_DURATION=50ms", "DELETE_STREAM_DURATION=50ms", "SPLIT_SHARD_DURATION=50ms", "MERGE_SHARDS_DURATION=50ms",
			"UPDATE_SHARD_COUNT_DURATION=50ms")
		return c
	}
	place := func() error {
		port, err := freePort()
		if err != nil {
			return err
		}
		k.addr = fmt.Sprintf("127.0.0.1:%d", port)
		plain, err = freePort()
		return err
	}
	if err := s.startSomewhere(place); err != nil {
		return nil, err
	}
	if err := k.answers(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return k, nil
}

// answers waits for it to listen: it says so a moment too early.
func (k *KinesisServer) answers() error {
	for deadline := time.Now().Add(startMax); ; {
		c, err := tls.DialWithDialer(&net.Dialer{Timeout: dialMax}, "tcp", k.addr, &tls.Config{RootCAs: k.roots})
		if err == nil {
			return c.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("connect to %s: %w", k.name, err)
		}
		time.Sleep(20 * time.Millisecond) // nothing else tells
	}
}

// URL is where the service is asked. Its certificate is good for the file that Roots names only.
func (k *KinesisServer) URL() string { return "https://" + k.addr }

// Roots is a PEM file with the authority of the server's certificate: what AWS_CA_BUNDLE is to say.
func (k *KinesisServer) Roots() string { return filepath.Join(k.folder.path, "roots.pem") }

// writeCertificate makes a certificate for the local address, as the stand-in wants it, and a file of whom to trust then.
func writeCertificate(file, roots string) (*x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "kinesis"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	text, err := json.Marshal(map[string]map[string]string{"server": {
		"key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), "cert": string(cert),
	}})
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return pool, errors.Join(os.WriteFile(file, text, 0o600), os.WriteFile(roots, cert, 0o644))
}

func findKinesis() (main, node string, err error) {
	absent := fmt.Errorf("start a stand-in for Kinesis: %w: run scripts/kinesis.sh", ErrAbsent)
	cache, err := cacheFolder()
	if err != nil {
		return "", "", err
	}
	folder := filepath.Join(cache, "kinesis-local-"+KinesisVersion)
	if _, err := os.Stat(filepath.Join(folder, "installed")); err != nil {
		return "", "", absent
	}
	if node, err = exec.LookPath("node"); err != nil {
		return "", "", absent
	}
	return filepath.Join(folder, "main.js"), node, nil
}
