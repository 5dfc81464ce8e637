package main

import (
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/stategate/stategate/cmd/gateway/internal/config"
	"github.com/stategate/stategate/dispatcher/machine"
)

// What memory is without the setting, where nothing bounds it from outside; and the least that there is something to be done with.
const (
	memoryDefault = 1 << 30
	memoryLeast   = 64 << 20
)

// memoryOf is the memory that the process may take: what the setting says, or else the default, or three quarters of what the system
// gives the process, so that the rest of it is for what no account has. limit is 0 where nothing is said.
func memoryOf(cfg config.Config, limit int64) int64 {
	switch {
	case cfg.Memory > 0:
		return cfg.Memory
	case limit > 0:
		return max(min(memoryDefault, limit/4*3), memoryLeast)
	}
	return memoryDefault
}

// share is a part of the memory, or what a setting says in its place.
func share(set int, memory, of int64) int {
	if set > 0 {
		return set
	}
	return int(max(memory/of, 1<<20))
}

// bounds are the settings that the machine knows, and its parts of the memory that have none. The default leaves each as the machine's
// own default is.
func bounds(cfg config.Config, memory int64) machine.Config {
	const small = 16 << 20
	return machine.Config{
		Slots: cfg.Slots, SourceMessagesMax: cfg.SourceMessagesMax, EffectsMax: cfg.EffectsMax,
		SourceBytesMax: share(cfg.SourceBytesMax, min(memory/64, small), 1), EventBytesMax: share(0, min(memory/64, small), 1),
		MailBytesMax: share(cfg.MailBytesMax, memory, 8), BusyBytesMax: share(0, memory, 8),
		CacheBytesMax: share(cfg.CacheBytesMax, memory, 16), EffectBytesMax: share(cfg.EffectBytesMax, memory, 16),
		CallBytesMax: share(0, memory, 16), TimerBytesMax: share(0, memory, 16),
		OutboxBytesMax: cfg.OutboxBytesMax, KeptBytesMax: cfg.KeptBytesMax, StoredBytesMax: cfg.StoredBytesMax,
		DeadLettersMax: int64(cfg.DeadLettersMax), DeadLetterBytesMax: cfg.DeadLetterBytesMax,
	}
}

// replyBytes is the part of large replies.
func replyBytes(memory int64) int64 { return int64(share(0, memory, 16)) }

// heapLimit is what the collector is held to. An eighth is for what it does not know: the program itself, and SQLite's pages. Settings that
// are larger than their part of the memory are obeyed: a limit below what lives would cost CPU, and free nothing.
func heapLimit(b machine.Config, memory int64) int64 {
	lives := b.MailBytesMax + b.BusyBytesMax + b.CacheBytesMax + 4*b.EffectBytesMax + 2*b.CallBytesMax + b.TimerBytesMax
	return max(memory/8*7, int64(lives)+replyBytes(memory))
}

// cgroupLimit is the least memory that a control group gives the process, or one that this is in; 0: there is none. read is os.ReadFile.
func cgroupLimit(read func(string) ([]byte, error)) (least int64) {
	note := func(file string) {
		text, err := read(file)
		if err != nil {
			return
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err == nil && n > 0 && n < 1<<60 && (least == 0 || n < least) { // version 1 says "none" by a number near 1<<63
			least = n
		}
	}
	const root = "/sys/fs/cgroup"
	text, _ := read("/proc/self/cgroup")
	for line := range strings.Lines(string(text)) {
		version, file := root, "memory.max"
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(parts) < 3:
			continue
		case parts[1] == "memory":
			version, file = root+"/memory", "memory.limit_in_bytes"
		case parts[1] != "":
			continue
		}
		for group := path.Clean("/" + parts[2]); ; group = path.Dir(group) {
			note(path.Join(version, group, file))
			if group == "/" {
				break
			}
		}
	}
	return least
}

// memoryAndBounds are what the settings and the system come to.
func memoryAndBounds(cfg config.Config) (int64, machine.Config) {
	memory := memoryOf(cfg, cgroupLimit(os.ReadFile))
	return memory, bounds(cfg, memory)
}
