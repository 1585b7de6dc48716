package historypage

import (
	"net/http"
	"strconv"
	"time"

	"earshot/tray/chat"
)

// confirm asks whether something is to be deleted.
func (s *server) confirm(w http.ResponseWriter, r *http.Request) {
	in := r.URL.Query()
	id, peer := number(in, "id"), in.Get("peer")
	c := &confirmation{ID: id, Peer: peer, All: in.Get("all") != "", Back: link("./", "peer", peer)}
	switch {
	case id != 0:
		list, err := s.engine.Search(r.Context(), chat.Query{Before: id + 1, Limit: 1})
		if err != nil || len(list) == 0 || list[0].ID != id {
			if err == nil {
				w.Header().Set("Location", "./")
				w.WriteHeader(http.StatusSeeOther) // it is deleted already
				return
			}
			s.fail(w, r, s.view(r, chat.Query{}), err)
			return
		}
		m := s.message(list[0], nil, true, 0)
		c.Message, c.Peer, c.Back = &m, "", m.Link
		c.Question = s.p.T("HistoryEraseMessage")
	case peer != "":
		c.Question = s.p.T("HistoryEraseConversation", "Name", s.name(peer))
	default:
		c.Question = s.p.T("HistoryEraseAll")
	}
	v := s.view(r, chat.Query{Peer: peer})
	v.Confirm = c
	s.show(w, http.StatusOK, v)
}

// erase deletes what was confirmed, and shows what is left.
func (s *server) erase(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, http.StatusText(http.StatusBadRequest), http.StatusBadRequest)
		return
	}
	what := chat.Erasure{ID: number(r.PostForm, "id"), Peer: r.PostForm.Get("peer"), All: r.PostForm.Get("all") != ""}
	peer := ""
	if what.ID != 0 {
		list, err := s.engine.Search(r.Context(), chat.Query{Before: what.ID + 1, Limit: 1})
		if err == nil && len(list) == 1 && list[0].ID == what.ID {
			peer = list[0].Peer // where one goes on
		}
	}
	erased, err := s.engine.Erase(r.Context(), what)
	if err != nil {
		s.fail(w, r, s.view(r, chat.Query{}), err)
		return
	}
	w.Header().Set("Location", link("./", "peer", peer, "erased", strconv.Itoa(erased.Count), "kept", strconv.Itoa(erased.Kept)))
	w.WriteHeader(http.StatusSeeOther)
}

// day names a day as people do.
func (s *server) day(at, now time.Time) string {
	switch days(at, now) {
	case 0:
		return s.p.T("PopupToday")
	case 1:
		return s.p.T("PopupYesterday")
	}
	id := "PopupDay"
	if at.Year() != now.Year() {
		id = "PopupDayYear"
	}
	return s.p.T(id, "Weekday", s.p.T("PopupWeekday"+strconv.Itoa(int(at.Weekday()))), "Day", at.Day(),
		"Month", s.p.T("PopupMonth"+strconv.Itoa(int(at.Month()))), "Year", strconv.Itoa(at.Year()))
}

// short is a time in few characters: the hour of today, else the date.
func (s *server) short(at, now time.Time) string {
	switch days(at, now) {
	case 0:
		return at.Format("15:04")
	case 1:
		return s.p.T("PopupYesterday")
	}
	return at.Format(time.DateOnly)
}

// days is how many days ago it was, by the calendar.
func days(at, now time.Time) int {
	date := func(t time.Time) time.Time {
		y, m, d := t.Date()
		return time.Date(y, m, d, 12, 0, 0, 0, time.UTC)
	}
	return int(date(now).Sub(date(at)) / (24 * time.Hour))
}
