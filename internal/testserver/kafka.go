//go:build unix

package testserver

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// KafkaVersion is the release that tests run against when nothing else is said. It is the default of scripts/kafka.sh.
const KafkaVersion = "4.1.0"

// KafkaConfig says which broker to start. The zero value works.
type KafkaConfig struct {
	// Version is a release that scripts/kafka.sh has installed. Default: STATEGATE_TEST_KAFKA, or KafkaVersion.
	Version string
	// Properties of the broker, beside or instead of those that the package gives: "message.max.bytes" and the like.
	Properties map[string]string
	// Proxies is how many further ways lead to the broker, each through a Proxy: who connects by one is told to stay on it.
	Proxies int
	// Secure adds listeners that ask who comes (Listener), and rights: who has none is refused.
	Secure bool
}

// KafkaServer is one Kafka node, broker and controller in one, that keeps its data on disk.
type KafkaServer struct {
	*server
	Security *KafkaSecurity // nil: everybody is let in
	addr     string
	proxies  []*Proxy
}

// quickKafka are the settings that make starts and restarts quick and leave what the broker promises as it is.
var quickKafka = map[string]string{
	"process.roles":             "broker,controller",
	"node.id":                   "1",
	"controller.listener.names": "CONTROLLER",
	// 50 each by default: slow at first use and after a crash.
	"offsets.topic.num.partitions":         "4",
	"transaction.state.log.num.partitions": "4",
	// One node has one replica.
	"offsets.topic.replication.factor":             "1",
	"transaction.state.log.replication.factor":     "1",
	"transaction.state.log.min.isr":                "1",
	"share.coordinator.state.topic.num.partitions": "1",
	"share.coordinator.state.topic.min.isr":        "1",
	// The registration of a killed node must end before it may start again: 9 s by default.
	"broker.session.timeout.ms":    "3000",
	"broker.heartbeat.interval.ms": "500",
	// Groups: no waiting for members that may yet come, and dead ones noticed early.
	"group.initial.rebalance.delay.ms": "0",
	"group.min.session.timeout.ms":     "500",
	// A test says what it creates.
	"auto.create.topics.enable":      "false",
	"delete.topic.enable":            "true",
	"log.cleaner.dedupe.buffer.size": "2097152",
}

// StartKafka starts a node and answers when it serves. Its coordinators of groups and transactions are ready up to a second
// later, at first use: clients must ask again. The error is ErrAbsent when Kafka or Java is not installed.
func StartKafka(cfg KafkaConfig) (*KafkaServer, error) {
	version := cfg.Version
	if version == "" {
		version = os.Getenv("STATEGATE_TEST_KAFKA")
	}
	if version == "" {
		version = KafkaVersion
	}
	home, java, err := findKafka(version)
	if err != nil {
		return nil, err
	}
	s, err := newServer("kafka", "Apache Kafka "+version, "Kafka Server started", syscall.SIGKILL)
	if err != nil {
		return nil, err
	}
	k := &KafkaServer{server: s}
	if cfg.Secure {
		authority, err := NewAuthority("authority of " + filepath.Base(s.folder.path))
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		k.Security = &KafkaSecurity{Authority: authority}
	}
	for range cfg.Proxies {
		p, err := NewProxy("")
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		k.proxies = append(k.proxies, p)
		s.with = append(s.with, p)
	}
	properties := filepath.Join(s.folder.path, "server.properties")
	s.command = func() *exec.Cmd {
		c := exec.Command(java, "@"+filepath.Join(home, "java.args"), "kafka.Kafka", properties)
		c.Dir = s.folder.path
		return c
	}
	place := func() error { return k.place(home, properties, cfg.Properties) }
	if err := s.startSomewhere(place); err != nil {
		return nil, err
	}
	return k, nil
}

// Addr is the broker's host:port. It stays the same through restarts.
func (k *KafkaServer) Addr() string { return k.addr }

// Proxy is one of the ways that the config asked for. It ends with the server.
func (k *KafkaServer) Proxy(n int) *Proxy { return k.proxies[n] }

// place gives the node new ports and an empty storage.
func (k *KafkaServer) place(home, file string, properties map[string]string) error {
	broker, err := freePort()
	if err != nil {
		return err
	}
	controller, err := freePort()
	if err != nil {
		return err
	}
	k.addr = fmt.Sprintf("127.0.0.1:%d", broker)
	data := filepath.Join(k.folder.path, "data")
	all := maps.Clone(quickKafka)
	listeners, advertised, protocols := "PLAINTEXT://"+k.addr, "PLAINTEXT://"+k.addr, "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"
	for n, p := range k.proxies {
		port, err := freePort()
		if err != nil {
			return err
		}
		behind := fmt.Sprintf("127.0.0.1:%d", port)
		p.aim(behind)
		listeners += fmt.Sprintf(",PROXY%d://%s", n, behind)
		advertised += fmt.Sprintf(",PROXY%d://%s", n, p.Addr())
		protocols += fmt.Sprintf(",PROXY%d:PLAINTEXT", n)
	}
	all["listeners"] = fmt.Sprintf("%s,CONTROLLER://127.0.0.1:%d", listeners, controller)
	if len(k.proxies) > 0 {
		all["advertised.listeners"] = advertised
	}
	all["listener.security.protocol.map"] = protocols
	if err := k.secure(all); err != nil {
		return err
	}
	all["controller.quorum.voters"] = fmt.Sprintf("1@127.0.0.1:%d", controller)
	all["log.dirs"] = data
	maps.Copy(all, properties)
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&text, "%s=%s\n", key, all[key])
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
		return err
	}
	if err := os.RemoveAll(data); err != nil {
		return err
	}
	return copyStorage(filepath.Join(home, "storage"), data)
}

// copyStorage copies a formatted storage folder and gives it an identity of its own. It saves a start of Java.
func copyStorage(from, to string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	meta := filepath.Join(to, "meta.properties")
	text, err := os.ReadFile(meta)
	if err != nil {
		return err
	}
	var id [16]byte
	_, _ = rand.Read(id[:])
	id[0] &= 0x7f // Kafka takes no id that begins with '-'
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "directory.id=") {
			lines[i] = "directory.id=" + base64.RawURLEncoding.EncodeToString(id[:])
		}
	}
	return os.WriteFile(meta, []byte(strings.Join(lines, "\n")), 0o644)
}

func findKafka(version string) (home, java string, err error) {
	absent := fmt.Errorf("start Apache Kafka %s: %w: run scripts/kafka.sh %s", version, ErrAbsent, version)
	cache, err := cacheFolder()
	if err != nil {
		return "", "", err
	}
	home = filepath.Join(cache, "kafka-"+version)
	if _, err := os.Stat(filepath.Join(home, "installed")); err != nil {
		return "", "", absent
	}
	java = "java"
	if jdk := os.Getenv("JAVA_HOME"); jdk != "" {
		java = filepath.Join(jdk, "bin", "java")
	}
	if java, err = exec.LookPath(java); err != nil {
		return "", "", absent
	}
	return home, java, nil
}
