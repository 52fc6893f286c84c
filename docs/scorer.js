// How the search of the site ranks: Sphinx's own scores, with the lessons before the reference.
var Scorer = {
  score: ([page, , , , score]) => score + (page.startsWith("notebooks/") ? 100 : 0),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
