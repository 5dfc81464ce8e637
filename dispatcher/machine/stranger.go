package machine

import "github.com/stategate/stategate/api"

// stranger is an address of a function that the module does not declare, with what waits for it in packs: that stays in the store alone,
// and nothing of it is called, until the module declares the function again. Of each message only that it is there is remembered.
type stranger struct {
	messages int64
	front    Front // the first of them
}

// strangerBytesMax bounds what is remembered of such addresses, those of all functions together: the ones that have waited for longest. Of
// others only their messages are counted, and how many addresses that are.
const strangerBytesMax = 4 << 20

// strangerOverhead is what one takes beside its texts, about.
const strangerOverhead = 256

// claimStrangers counts the messages of packs for functions that the module does not declare.
func (m *Machine) claimStrangers(all []*message) {
	sortByNumber(all)
	bytes, unlisted := 0, map[api.Address]bool{}
	for _, msg := range all {
		f := m.function(msg.Target.Type)
		f.strange++
		f.strangeBytes += int64(msg.size)
		s := f.strangers[msg.Target.ID]
		weight := strangerOverhead + len(msg.Target.ID) + len(msg.Argument.TypeName) + len(msg.Caller.Type.Namespace) + len(msg.Caller.Type.Name) + len(msg.Caller.ID)
		switch {
		case s != nil:
			s.messages++
		case unlisted[msg.Target]:
		case bytes+weight > strangerBytesMax:
			unlisted[msg.Target] = true
			f.unlisted++
		default:
			bytes += weight
			if f.strangers == nil {
				f.strangers = map[string]*stranger{}
			}
			front := Front{Number: msg.number, Caller: msg.Caller, TypeName: msg.Argument.TypeName, Bytes: len(msg.Argument.Value), ArrivedMS: msg.arrived}
			f.strangers[msg.Target.ID] = &stranger{messages: 1, front: front}
		}
	}
}

// strangerOf is what is known of an address as of a stranger; unlisted: it may be one of those of which nothing is.
func (m *Machine) strangerOf(a api.Address) (s stranger, unlisted bool) {
	f := m.functions[a.Type]
	if f == nil {
		return s, false
	}
	if known := f.strangers[a.ID]; known != nil {
		return *known, false
	}
	return s, f.unlisted > 0
}
