function angle = wrapToPi(angle)
% Angle in [-pi, pi]; MATLAB has this in a toolbox, Octave in a package that need not be installed.
outside = abs(angle) > pi;
angle(outside) = mod(angle(outside) + pi, 2 * pi) - pi;
end
