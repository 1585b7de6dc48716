//go:build linux

package settingspage_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"earshot/tray/browsertest"
)

// Every look of the page is taken a picture of, and none of them is wider than
// its window.
func TestLooks(t *testing.T) {
	b := browsertest.Start(t)
	for _, language := range []string{"en", "zh-Hans"} {
		for _, dark := range []bool{false, true} {
			e, _ := serve(t, language, policy)
			link := hosted(t, e)
			for name, value := range map[string]any{"people.Ann Li.login": "once", "people.张三.message": "off", "do_not_disturb": "2h", "away_after": "never", "sounds": false} {
				if err := e.Set(t.Context(), name, value); err != nil {
					t.Fatal(err)
				}
			}
			for _, width := range []int{1100, 390} {
				name := fmt.Sprintf("page-settings-%s-%d", language, width)
				if dark {
					name += "-dark"
				}
				p := b.Open(link(), browsertest.Look{Width: width, Height: 900, Dark: dark})
				if wide := p.Eval("document.documentElement.scrollWidth"); wide.(float64) > float64(width) {
					t.Errorf("%s is %v wide", name, wide)
				}
				p.Screenshot(name)
			}
		}
	}
	if said := b.Complaints(); len(said) > 0 {
		t.Errorf("the browser complains: %q", said)
	}
}

// Everything can be done with the keys, is saved as it is changed, and mistakes
// stand beside their fields.
func TestKeyboard(t *testing.T) {
	b := browsertest.Start(t)
	e, _ := serve(t, "en", policy)
	link := hosted(t, e)
	p := b.Open(link(), browsertest.Look{})
	focus := `document.activeElement.id`

	// The keys reach every field that isn't locked, in the order of the page.
	var reached []string
	for range 80 {
		p.Press("Tab")
		if id := p.Text(focus); len(id) > 2 && id[:2] == "f-" {
			reached = append(reached, id)
		}
		if p.Text(focus) == "f-encoding" {
			break
		}
	}
	want := p.Text(`[...document.querySelectorAll("main [id^=f-]:not(:disabled)")].map((e) => e.id).join()`)
	// A time is several fields to the keys.
	if got := strings.Join(slices.Compact(reached), ","); got != want {
		t.Errorf("the keys reach\n%s\nof\n%s", got, want)
	}

	p.Eval(`document.getElementById("f-sounds").focus()`)
	p.Press("Space")
	p.Await("that it is saved", `document.querySelector(".toast").textContent === "Saved" && !document.querySelector("#s-sounds .reset").hidden`)
	if e.Values().Sounds {
		t.Error("the switch does nothing")
	}
	p.Press("Tab", "Enter") // what takes it back
	p.Await("the default", `document.getElementById("f-sounds").checked && document.querySelector("#s-sounds .reset").hidden && document.activeElement.id === "f-sounds"`)
	if !e.Values().Sounds {
		t.Error("the reset does nothing")
	}

	p.Eval(`document.getElementById("f-name").focus()`)
	p.Type("a,b")
	p.Press("Enter")
	p.Await("the mistake", `document.getElementById("e-name").textContent !== "" && document.getElementById("f-name").getAttribute("aria-invalid") === "true"`)
	p.Screenshot("page-settings-mistake")
	p.Eval(`document.getElementById("f-name").select()`)
	p.Type("Ann")
	p.Press("Tab")
	p.Await("the name", `document.getElementById("e-name").textContent === "" && !document.getElementById("f-name").hasAttribute("aria-invalid")`)
	if name := e.Values().Name; name != "Ann" {
		t.Errorf("the name is %q", name)
	}

	p.Eval(`document.querySelector("#s-away_after [name=word]").focus()`)
	p.Press("Space")
	p.Await("never", `document.getElementById("f-away_after").value === "" && !document.querySelector("#s-away_after .reset").hidden`)
	if after := e.Values().AwayAfter; after != -1 {
		t.Errorf("away after %d", after)
	}

	p.Eval(`document.getElementById("f-do_not_disturb").focus()`)
	p.Press("ArrowDown")
	p.Await("quiet", `!document.querySelector("#s-do_not_disturb .reset").hidden`)
	if e.Values().Undisturbed().IsZero() {
		t.Error("nothing is undisturbed")
	}

	p.Eval(`document.getElementById("f-people").focus()`)
	p.Type("Bo")
	p.Press("Enter")
	p.Await("Bo's line", `document.querySelector(".person .name")?.textContent === "Bo" && document.readyState === "complete"`)
	if e.Values().People.Of("Bo").Login != "once" {
		t.Errorf("%+v", e.Values().People)
	}
	p.Eval(`document.querySelector(".person .remove button").focus()`)
	p.Press("Enter")
	p.Await("no line", `!document.querySelector(".person") && document.readyState === "complete"`)

	// What is changed elsewhere shows when one comes back.
	if err := e.Set(t.Context(), "typing", false); err != nil {
		t.Fatal(err)
	}
	p.Eval(`window.dispatchEvent(new Event("focus"))`)
	p.Await("the change", `!document.getElementById("f-typing").checked`)

	if locked := p.Text(`["f-server", "f-read_receipts"].map((id) => document.getElementById(id).disabled + " " + document.getElementById("l-" + id.slice(2)).textContent.trim()).join("; ")`); locked !=
		"true IT of Example Ltd. has set this (/etc/earshot/policy.toml:3).; true IT of Example Ltd. has set this (/etc/earshot/policy.toml:4)." {
		t.Errorf("locked: %s", locked)
	}
	// Every field has a name that a screen reader says.
	if bare := p.Text(`[...document.querySelectorAll("main input:not([type=hidden]), main select, main button")].filter((e) => !e.labels?.length && !e.getAttribute("aria-label") && !e.textContent.trim()).map((e) => e.outerHTML).join()`); bare != "" {
		t.Errorf("without a name: %s", bare)
	}
}

// Whoever allows no scripts has a button for each setting.
func TestWithoutScript(t *testing.T) {
	b := browsertest.Start(t)
	e, _ := serve(t, "en", "")
	link := hosted(t, e)
	p := b.Open(link(), browsertest.Look{NoScript: true})
	p.Click("#s-sounds input[role=switch]")
	p.Click("#s-sounds .save")
	p.Await("the page after it", `location.hash === "#s-sounds" && document.getElementById("f-sounds")?.checked === false`)
	if e.Values().Sounds {
		t.Error("the button does nothing")
	}
	p.Screenshot("page-settings-noscript")
}
