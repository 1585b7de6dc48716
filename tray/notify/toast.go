package notify

import (
	"encoding/xml"
	"net/url"
	"strings"

	"earshot/tray/i18n"
)

// A toast is a note as Windows shows it: an XML document with a click, buttons
// and a line for a reply, each of which comes back as the arguments that the
// document gives it. The schema is "Toast content schema" at Microsoft's.
type toast struct {
	XMLName  xml.Name `xml:"toast"`
	Launch   string   `xml:"launch,attr"`
	Scenario string   `xml:"scenario,attr,omitempty"`
	Binding  binding  `xml:"visual>binding"`
	Audio    audio    `xml:"audio"`
	Actions  *actions `xml:"actions"`
}

type binding struct {
	Template string   `xml:"template,attr"`
	Texts    []string `xml:"text"`
}

type audio struct {
	Source string `xml:"src,attr,omitempty"`
	Silent bool   `xml:"silent,attr,omitempty"`
}

// actions are the line to write into, and the buttons.
type actions struct {
	Inputs  []input  `xml:"input"`
	Buttons []button `xml:"action"`
}

type input struct {
	ID          string `xml:"id,attr"`
	Type        string `xml:"type,attr"`
	Placeholder string `xml:"placeHolderContent,attr"`
}

type button struct {
	Content   string `xml:"content,attr"`
	Arguments string `xml:"arguments,attr"`
	// Activation is background where nothing opens.
	Activation string `xml:"activationType,attr,omitempty"`
	// Input is the line that the button stands beside.
	Input string `xml:"hint-inputId,attr,omitempty"`
}

const replyLine = "reply"

// toastXML returns the document for a note.
func toastXML(n note, p *i18n.Printer) (string, error) {
	t := toast{
		Launch:  arguments(openIt, n.peer),
		Binding: binding{Template: "ToastGeneric", Texts: []string{n.title, n.body}},
		Audio:   audio{Silent: n.mute || n.silent},
	}
	if n.written && !t.Audio.Silent {
		t.Audio.Source = "ms-winsoundevent:Notification.IM"
	}
	if n.peer != "" {
		t.Actions = &actions{}
		t.Actions.fill(n, p)
		if n.urgent {
			// It stays until the person does something; without a button Windows
			// takes no notice of this.
			t.Scenario = "reminder"
		}
	}
	text, err := xml.Marshal(t)
	return string(text), err
}

// fill adds what can be done about a note without a window. Nobody replies to
// everyone by a line below a note.
func (a *actions) fill(n note, p *i18n.Printer) {
	if n.written && !strings.HasPrefix(n.peer, ",") {
		a.Inputs = []input{{ID: replyLine, Type: "text", Placeholder: p.T("NotifyReplyHere")}}
		a.Buttons = append(a.Buttons, button{
			Content: p.T("NotifyReply"), Arguments: arguments(replyTo, n.peer), Activation: "background", Input: replyLine,
		})
	}
	if n.written {
		a.Buttons = append(a.Buttons, button{Content: p.T("NotifyMarkRead"), Arguments: arguments(readIt, n.peer), Activation: "background"})
	}
	a.Buttons = append(a.Buttons, button{Content: p.T("NotifyOpen"), Arguments: arguments(openIt, n.peer)})
}

// reactions are what the arguments call them.
var reactions = map[string]reaction{"open": openIt, "read": readIt, "reply": replyTo}

// arguments are what Windows gives back for a reaction.
func arguments(r reaction, peer string) string {
	for name, of := range reactions {
		if of == r {
			return url.Values{"do": {name}, "peer": {peer}}.Encode()
		}
	}
	return ""
}

// toastAnswer is what a person has done about a toast, from its arguments and
// what stands in its line. It is false for what isn't ours, or about nobody.
func toastAnswer(arguments, written string) (answer, bool) {
	values, err := url.ParseQuery(arguments)
	if err != nil {
		return answer{}, false
	}
	reaction, known := reactions[values.Get("do")]
	a := answer{reaction: reaction, peer: values.Get("peer")}
	if reaction == replyTo {
		a.text = written
	}
	return a, known && a.peer != ""
}

// harmless takes from a text what PowerShell would carry out. Where Windows does
// not take a toast, the library that is the plain way puts it into a script,
// unquoted.
var harmless = strings.NewReplacer("$", "＄", "`", "｀", "\"@", "\"＠", "]]>", "]]＞")
