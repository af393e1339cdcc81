/* Lay a control over the table in `region`, so that nothing moves: at the middle of the height of `box`, and at the
   distance from the left of the window that `left` says, which is called with the region's own box. */
export function layOver(control, region, box, left) {
  if (control.parentNode !== region) region.append(control);
  const frame = region.getBoundingClientRect();
  control.style.left = `${left(frame) - frame.left + region.scrollLeft}px`;
  control.style.top = `${box.top - frame.top + box.height / 2}px`;
}
