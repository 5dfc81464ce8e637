package simulation_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// witnessed puts a witness in front of a store: all that the store answers stands in the story of the life. So two stores that tell
// two things are found out where they do, and not only by what becomes of it.
type witnessed struct{ backend }

func (b witnessed) open() (deposit, error) {
	d, err := b.backend.open()
	if err != nil {
		return nil, err
	}
	outsider, err := d.handle()
	if err != nil {
		d.close()
		return nil, err
	}
	return &witnessDeposit{deposit: d, outsider: outsider, functions: map[string]api.FunctionType{}, addresses: map[string]api.Address{}}, nil
}

func (d *witnessDeposit) close() {
	d.outsider.close()
	d.deposit.close()
}

type witnessDeposit struct {
	deposit
	tell     func(format string, args ...any)
	owner    *witness // whose claim was the last
	outsider handle   // has no claim, ever

	// What commits were about, by the store's keys.
	functions map[string]api.FunctionType
	addresses map[string]api.Address
	content   []string // what the store held when it was taken the last time
}

// follow has what the witness sees told in a life.
func follow(l *life) { l.deposit.(*witnessDeposit).tell = l.tell }

func (d *witnessDeposit) handle() (handle, error) {
	h, err := d.deposit.handle()
	if err != nil {
		return nil, err
	}
	return &witness{h, d}, nil
}

// witness tells what a handle answers. Where stores are free in what they answer, it takes the freedom away.
type witness struct {
	handle
	deposit *witnessDeposit
}

func (w *witness) tell(question string, answer any, err error) {
	if err != nil {
		w.deposit.tell("  store: %s: %s", question, outcome(err))
		return
	}
	w.deposit.tell("  store: %s: %+v", question, answer)
}

func (w *witness) note(a api.Address) {
	w.deposit.addresses[string(statestore.AddressKey(a))] = a
	w.deposit.functions[string(statestore.FunctionKey(a.Type))] = a.Type
}

func (w *witness) Commit(ctx context.Context, c *statestore.Commit) error {
	for i := range c.States {
		w.note(c.States[i].Address)
	}
	for i := range c.Mail {
		w.note(c.Mail[i].Address)
	}
	for i := range c.Functions {
		w.note(api.Address{Type: c.Functions[i].Function})
	}
	err := w.handle.Commit(ctx, c)
	w.tell(fmt.Sprintf("commit %d", c.Number), "made", err)
	return err
}

func (w *witness) LastCommit(ctx context.Context, f statestore.Fence) (uint64, error) {
	n, err := w.handle.LastCommit(ctx, f)
	w.tell("last commit", n, err)
	return n, err
}

func (w *witness) Renew(ctx context.Context, f statestore.Fence) error {
	err := w.handle.Renew(ctx, f)
	w.tell("renew", "renewed", err)
	return err
}

// States has those answered who were fenced off as if they had never had a claim: what only the owner knows may let a store leave
// out what the next owner has put there.
func (w *witness) States(ctx context.Context, all []api.Address) ([]statestore.Loaded, error) {
	asked := w.handle
	if w.deposit.owner != w {
		asked = w.deposit.outsider
	}
	found, err := asked.States(ctx, all)
	w.tell(fmt.Sprintf("states of %v", all), found, err)
	return found, err
}

func (w *witness) Specs(ctx context.Context, f api.FunctionType) ([]statestore.StateSpec, error) {
	found, err := w.handle.Specs(ctx, f)
	w.tell(fmt.Sprintf("specs of %v", f), found, err)
	return found, err
}

func (w *witness) Mail(ctx context.Context, a api.Address, from uint64, bytesMax int) ([]statestore.Mail, error) {
	found, err := w.handle.Mail(ctx, a, from, bytesMax)
	w.tell(fmt.Sprintf("mail of %v from %d on, %d bytes", a, from, bytesMax), found, err)
	return found, err
}

// SpilledAddresses does not tell the cursor, of which only the store knows what it means.
func (w *witness) SpilledAddresses(ctx context.Context, f api.FunctionType, cursor []byte, limit int) ([]api.Address, []byte, error) {
	found, next, err := w.handle.SpilledAddresses(ctx, f, cursor, limit)
	w.tell(fmt.Sprintf("%d spilled addresses of %v, from the start %v", limit, f, cursor == nil), fmt.Sprint(found, " more ", next != nil), err)
	return found, next, err
}

func (w *witness) Timers(ctx context.Context, after statestore.TimerKey, dueMS int64, limit int) ([]statestore.Timer, error) {
	found, err := w.handle.Timers(ctx, after, dueMS, limit)
	w.tell(fmt.Sprintf("%d timers behind %+v and before %d", limit, after, dueMS), found, err)
	return found, err
}

// ExpiredAddresses asks for all of them: of two that expire at the same time a store may answer either first.
func (w *witness) ExpiredAddresses(ctx context.Context, ms int64, limit int) ([]api.Address, error) {
	found, err := w.handle.ExpiredAddresses(ctx, ms, limit)
	w.tell(fmt.Sprintf("%d addresses that expire before %d", limit, ms), len(found), err)
	if err != nil {
		return nil, err
	}
	all, err := w.handle.ExpiredAddresses(ctx, ms, math.MaxInt32)
	slices.SortFunc(all, func(a, b api.Address) int { return bytes.Compare(statestore.AddressKey(a), statestore.AddressKey(b)) })
	w.tell("all of them", all, err)
	return all[:min(len(all), len(found))], err
}

func (w *witness) Outputs(ctx context.Context, id statestore.LaneID, from uint64, bytesMax int) ([]statestore.OutputPack, error) {
	found, err := w.handle.Outputs(ctx, id, from, bytesMax)
	w.tell(fmt.Sprintf("outputs of %v from %d on, %d bytes", id, from, bytesMax), found, err)
	return found, err
}

func (w *witness) Claimed(ctx context.Context, token string) (bool, error) {
	known, err := w.handle.Claimed(ctx, token)
	w.tell("is the claim known", known, err)
	return known, err
}

func (w *witness) DeadLetters(ctx context.Context, after uint64, limit int) ([]api.DeadLetter, error) {
	found, err := w.handle.DeadLetters(ctx, after, limit)
	w.tell(fmt.Sprintf("%d dead letters after %d", limit, after), found, err)
	return found, err
}

// take tells what the claim says, and then all that is there.
func (w *witness) take(m statestore.Member, egresses []string) (*statestore.Claim, error) {
	c, err := w.handle.take(m, egresses)
	if err != nil {
		return nil, err
	}
	w.deposit.owner = w
	told := *c
	told.Fence, told.Token = statestore.Fence{}, "" // each store has its own
	w.tell("claim", told, nil)
	w.deposit.content, err = w.read(&told)
	for _, line := range w.deposit.content {
		w.deposit.tell("  stored: %s", line)
	}
	return c, err
}

// read answers everything that can be asked for, line by line.
func (w *witness) read(c *statestore.Claim) (lines []string, err error) {
	ctx, h := context.Background(), w.handle
	add := func(what string, v any, e error) {
		if lines = append(lines, fmt.Sprintf("%s: %+v", what, v)); err == nil {
			err = e
		}
	}
	for _, p := range c.Progress {
		add("position", p, nil)
	}
	for _, key := range slices.Sorted(maps.Keys(w.deposit.functions)) {
		f := w.deposit.functions[key]
		specs, e := h.Specs(ctx, f)
		add(fmt.Sprintf("specs of %v", f), specs, e)
		spilled, e := w.spilled(f)
		add(fmt.Sprintf("spilled addresses of %v", f), spilled, e)
	}
	for _, key := range slices.Sorted(maps.Keys(w.deposit.addresses)) {
		a := w.deposit.addresses[key]
		states, e := h.States(ctx, []api.Address{a})
		add(fmt.Sprintf("states of %v", a), states, e)
		mail, e := h.Mail(ctx, a, 0, math.MaxInt32)
		add(fmt.Sprintf("mail of %v", a), mail, e)
	}
	timers, e := h.Timers(ctx, statestore.TimerKey{Due: math.MinInt64}, math.MaxInt64, math.MaxInt32)
	add("timers", timers, e)
	for _, lane := range c.Lanes {
		outputs, e := h.Outputs(ctx, lane.LaneID, 0, math.MaxInt32)
		add(fmt.Sprintf("outputs of %v", lane.LaneID), outputs, e)
	}
	dead, e := h.DeadLetters(ctx, 0, math.MaxInt32)
	add("dead letters", dead, e)
	return lines, err
}

// spilled pages through the addresses of a function, two at a time.
func (w *witness) spilled(f api.FunctionType) (all []api.Address, err error) {
	for cursor := []byte(nil); ; {
		found, next, err := w.handle.SpilledAddresses(context.Background(), f, cursor, 2)
		all = append(all, found...)
		if err != nil || next == nil {
			return all, err
		}
		cursor = next
	}
}
