package dispatcher

import (
	"sync"

	"github.com/stategate/stategate/dispatcher/machine"
)

// replies are replies that were told, for those to come: what a machine wants of one it copies, and under load a reply is the largest
// piece of memory that a call takes. They hold nothing but room.
var replies = sync.Pool{New: func() any {
	r := &roomy{}
	r.Sends, r.Outputs, r.Mutations = r.sends[:0], r.outputs[:0], r.mutations[:0]
	return &r.Reply
}}

// roomy is a reply with room for one effect of each kind, which is what most have.
type roomy struct {
	machine.Reply
	sends     [1]machine.Send
	outputs   [1]machine.Output
	mutations [1]machine.Mutation
}

// effectsKeptMax is for how many effects of a kind a reply keeps its room: that of a large one would stay for long.
const effectsKeptMax = 16

// recycle gives a reply back, which nobody reads any more.
func recycle(r *machine.Reply) {
	empty(r)
	replies.Put(r)
}

// empty leaves of a reply its room.
func empty(r *machine.Reply) {
	*r = machine.Reply{Sends: emptied(r.Sends), Delayed: emptied(r.Delayed), Outputs: emptied(r.Outputs), Mutations: emptied(r.Mutations)}
}

// emptied is the room of a list: no value lives on in it.
func emptied[T any](list []T) []T {
	if cap(list) > effectsKeptMax {
		return nil
	}
	clear(list)
	return list[:0]
}
