package main

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/cmd/gateway/internal/config"
)

func TestMemoryOf(t *testing.T) {
	for _, test := range []struct{ set, limit, want int64 }{
		{0, 0, 1 << 30},
		{0, 4 << 30, 1 << 30},
		{0, 512 << 20, 384 << 20},
		{0, 32 << 20, 64 << 20},
		{3 << 30, 512 << 20, 3 << 30}, // who says it means it
	} {
		if got := memoryOf(config.Config{Memory: test.set}, test.limit); got != test.want {
			t.Errorf("%d of a limit of %d: %d, want %d", test.set, test.limit, got, test.want)
		}
	}
}

// TestBoundsAreParts: all that may live at once is in the memory, however much that is, and what a setting says counts as it stands.
func TestBoundsAreParts(t *testing.T) {
	for _, memory := range []int64{64 << 20, 100 << 20, 512 << 20, 1 << 30, 64 << 30} {
		b := bounds(config.Default(), memory)
		if got, want := heapLimit(b, memory), memory/8*7; got != want {
			t.Errorf("memory of %d: the heap may take %d, want %d", memory, got, want)
		}
	}
	b := bounds(config.Default(), memoryDefault)
	if b.MailBytesMax != 128<<20 || b.CacheBytesMax != 64<<20 || b.EffectBytesMax != 64<<20 || b.SourceBytesMax != 16<<20 || replyBytes(memoryDefault) != 64<<20 {
		t.Errorf("the default: %+v", b)
	}
	cfg := config.Default()
	cfg.CacheBytesMax, cfg.SourceBytesMax = 2<<30, 1<<10
	b = bounds(cfg, memoryDefault)
	if b.CacheBytesMax != 2<<30 || b.SourceBytesMax != 1<<10 || b.MailBytesMax != 128<<20 {
		t.Errorf("with settings of their own: %+v", b)
	}
	if limit := heapLimit(b, memoryDefault); limit < 2<<30 {
		t.Errorf("a cache of %d, and the heap may take %d", b.CacheBytesMax, limit)
	}
}

func TestCgroupLimit(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"none", nil, 0},
		{"a container, version 2", map[string]string{"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "536870912\n"}, 512 << 20},
		{"no limit, version 2", map[string]string{"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "max\n"}, 0},
		{"a service in a smaller slice", map[string]string{
			"/proc/self/cgroup":                               "0::/a.slice/b.service\n",
			"/sys/fs/cgroup/a.slice/memory.max":               "1048576\n",
			"/sys/fs/cgroup/a.slice/b.service/memory.max":     "2097152\n",
			"/sys/fs/cgroup/other.slice/b.service/memory.max": "1\n",
		}, 1 << 20},
		{"version 1", map[string]string{"/proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/x\n", "/sys/fs/cgroup/memory/x/memory.limit_in_bytes": "3145728\n", "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 3 << 20},
	} {
		got := cgroupLimit(func(name string) ([]byte, error) {
			if text, ok := test.files[name]; ok {
				return []byte(text), nil
			}
			return nil, errors.New("no such file")
		})
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
